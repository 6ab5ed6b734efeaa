//! A payload that carries the time at which it was made.

/// About what a notification has.
const PAYLOAD_BYTES: usize = 300;

/// A payload that was made at `now`.
pub(crate) fn payload(now: u64) -> Vec<u8> {
    let mut payload = now.to_be_bytes().to_vec();
    payload.resize(PAYLOAD_BYTES, b' ');
    payload
}

/// When a [`payload`] was made.
pub(crate) fn made(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().copied().map(u64::from_be_bytes)
}

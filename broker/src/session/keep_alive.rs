//! When a client has been silent for too long (MQTT 5 section 3.1.2.10).

use std::time::Duration;

use tokio::time::Instant;

/// How fast a packet has to arrive, in bytes a second, to count as a sign of life before it is whole.
const SLOWEST: u64 = 256;

/// When the client was heard of.
#[derive(Debug)]
pub(super) struct KeepAlive {
    /// The last whole packet.
    packet: Instant,
    /// The last bytes.
    bytes: Instant,
}

impl KeepAlive {
    /// Of a client that was heard of now.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            packet: now,
            bytes: now,
        }
    }

    /// A packet came.
    pub(super) fn packet(&mut self) {
        self.packet = Instant::now();
    }

    /// Bytes came.
    pub(super) fn bytes(&mut self) {
        self.bytes = Instant::now();
    }

    /// When the client has been silent for `time`, while `arrived` bytes have come of a packet that is not whole: as long as
    /// these go on to come, and no slower than [`SLOWEST`] on the whole.
    pub(super) fn silent_at(&self, time: Duration, arrived: usize) -> Instant {
        if arrived == 0 {
            return self.packet + time;
        }
        let earned = Duration::from_millis(arrived as u64 * 1000 / SLOWEST);
        (self.packet + time + earned).min(self.bytes.max(self.packet) + time)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const TIME: Duration = Duration::from_secs(15);
    const SECOND: Duration = Duration::from_secs(1);

    /// How long a client is listened to that sends so many bytes of a packet each second, for an hour at most.
    async fn listened_to(bytes_a_second: usize) -> Duration {
        let (mut keep_alive, start) = (KeepAlive::new(), Instant::now());
        for second in 1..=3600 {
            advance(SECOND).await;
            let arrived = second * bytes_a_second;
            if keep_alive.silent_at(TIME, arrived) <= Instant::now() {
                break;
            }
            keep_alive.bytes();
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_packet_that_arrives_is_a_sign_of_life_unless_it_only_drips() {
        assert!(listened_to(0).await <= TIME);
        assert!(listened_to(1).await <= TIME + SECOND);
        assert!(listened_to(SLOWEST as usize).await >= 3600 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_falls_silent_within_a_packet_is_silent() {
        let mut keep_alive = KeepAlive::new();
        advance(SECOND).await;
        keep_alive.bytes();
        let silent = keep_alive.silent_at(TIME, 100_000);
        assert_eq!(silent, Instant::now() + TIME);
        keep_alive.packet();
        assert_eq!(keep_alive.silent_at(TIME, 0), Instant::now() + TIME);
    }
}

//! Passwords: others who use the machine have no business on the server.

use std::{fs::File, io::Read as _};

use anyhow::{Context as _, Result};

/// So many random bytes.
pub(crate) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    let source = "/dev/urandom";
    File::open(source)
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context(source)?;
    Ok(bytes)
}

/// A password of hexadecimal digits, which needs no quoting anywhere.
pub(crate) fn password() -> Result<String> {
    let digits = random::<16>()?.map(|byte| format!("{byte:02x}"));
    Ok(digits.concat())
}

//! What the disk itself takes to make something durable.

use std::{fs::File, io::Write as _, path::Path, time::Instant};

/// What is written before each sync.
pub(crate) const BYTES: usize = 4096;

/// How long each of `count` syncs in a row took in the folder `dir`, in milliseconds, each after [`BYTES`] were appended.
pub(crate) fn fdatasyncs(dir: &Path, count: usize) -> std::io::Result<Vec<f64>> {
    let mut file = File::create(dir.join("sync"))?;
    (0..count)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&[7; BYTES])?;
            file.sync_data()?;
            Ok(start.elapsed().as_secs_f64() * 1e3)
        })
        .collect()
}

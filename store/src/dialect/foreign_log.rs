//! Whether the write-ahead log beside a database file is its own.
//!
//! SQLite takes whatever log lies there and puts its pages over those of the file. If somebody copied a database into the
//! place of one whose server had crashed, and left the `-wal`, the result is a mixture, in which the check for damage need
//! not find anything. So the writer counts up a mark as it goes, in the first transaction after the start and in one of each
//! tenth of a second. A log begins when everything before is in the file: so the file has the mark before the first one in
//! its log, or one of those in it, if some of the log was taken over already. Any other mark is that of another database, of
//! an older copy, or of a newer one.
//!
//! A log without a mark proves nothing, and is accepted.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::ops::RangeInclusive;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::open_files::beside;

/// Gives a copy a mark of its own.
const RENEW: &str = "UPDATE log_mark SET mark = ((random() & 1073741823) | 1073741824) << 32";

const HAS_TABLE: &str =
    "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = 'log_mark'";

/// How often a log that starts over meanwhile is looked at again.
const TRIES: u32 = 5;

/// The bits of a mark that count; those above are random.
const COUNTED: i64 = 0xffff_ffff;

/// <https://sqlite.org/fileformat2.html#the_write_ahead_log>
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The two magic numbers differ in their last bit, which is about checksums.
const MAGIC: u32 = 0x377f_0682;
/// Where the salts are, which all frames of a log share.
const SALTS_OF_LOG: std::ops::Range<usize> = 16..24;
const SALTS_OF_FRAME: std::ops::Range<usize> = 8..16;

/// A leaf of a table.
const LEAF: u8 = 0x0d;
/// The cell of the row before its number, of 8 bytes: payload of 27 bytes, row 1, a header of 4 bytes (itself, NULL for the
/// key, 15 bytes of text, an integer of 8 bytes), and the text.
const CELL: &[u8] = b"\x1b\x01\x04\x00\x2b\x06herald log mark";

/// The marks of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Marks {
    /// Another one each time that the log begins anew.
    salts: [u8; 8],
    /// The first and the last, if there are any.
    marks: Option<(i64, i64)>,
}

/// What a database file says without its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Mark(i64),
    /// It has no table of marks: it was made by an older version of Herald, or is not one of Herald's.
    NoTable,
    /// It cannot be read without its log.
    Unknown,
}

/// Whether the log beside `file` is surely that of another database. To be asked before the file is opened; others may have
/// it open.
pub(crate) async fn is_foreign(file: &Path) -> bool {
    for _ in 0..TRIES {
        let Some(before) = read(file).await else {
            return false;
        };
        if before.marks.is_none() {
            return false;
        }
        let base = base(file).await;
        // Meanwhile a server may have gone on: what is in the file now was in the log before.
        let Some(after) = read(file).await else {
            return false;
        };
        if before.salts == after.salts {
            return after.marks.is_some_and(|marks| !belongs(base, marks));
        }
    }
    false
}

fn belongs(base: Base, (first, last): (i64, i64)) -> bool {
    // The first mark of all is made in the log, over a file that has none.
    let is_first = first & COUNTED == 0;
    let range: RangeInclusive<i64> = if is_first { first } else { first - 1 }..=last;
    match base {
        Base::Mark(mark) => range.contains(&mark),
        Base::NoTable => is_first,
        Base::Unknown => true,
    }
}

/// Gives the database `file`, a copy that nobody uses, a mark of its own.
pub(crate) async fn renew(file: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file);
    let mut conn = options.connect().await?;
    let tables: i64 = sqlx::query_scalar(HAS_TABLE).fetch_one(&mut conn).await?;
    if tables > 0 {
        sqlx::query(RENEW).execute(&mut conn).await?;
    }
    conn.close().await
}

/// What `file` says without its log.
async fn base(file: &Path) -> Base {
    let read = async {
        let options = SqliteConnectOptions::new().filename(file);
        // Says that nobody changes the file, so that its log is not looked at.
        let options = options.read_only(true).immutable(true);
        let mut conn = options.connect().await?;
        let base = read_base(&mut conn).await;
        conn.close().await?;
        base
    };
    read.await.unwrap_or(Base::Unknown)
}

async fn read_base(conn: &mut SqliteConnection) -> Result<Base, sqlx::Error> {
    let tables: i64 = sqlx::query_scalar(HAS_TABLE).fetch_one(&mut *conn).await?;
    if tables == 0 {
        return Ok(Base::NoTable);
    }
    let mark = sqlx::query_scalar("SELECT mark FROM log_mark")
        .fetch_one(conn)
        .await?;
    Ok(Base::Mark(mark))
}

/// The marks of the log of `file`, if there is one that can be read.
async fn read(file: &Path) -> Option<Marks> {
    let log = beside(file, "-wal");
    let marks = tokio::task::spawn_blocking(move || marks_of(File::open(log)?)).await;
    marks.ok()?.ok()
}

/// Whether a frame was written whole, or committed, does not matter: also a mark that was not comes after that of the file.
fn marks_of(log: impl Read) -> io::Result<Marks> {
    let mut log = BufReader::with_capacity(1 << 20, log);
    let mut header = [0; LOG_HEADER];
    log.read_exact(&mut header)?;
    let number = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&header[at..at + 4]);
        u32::from_be_bytes(bytes)
    };
    let page_size = number(8);
    if number(0) & !1 != MAGIC || !(512..=65536).contains(&page_size) {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut salts = [0; 8];
    salts.copy_from_slice(&header[SALTS_OF_LOG]);
    let mut marks: Option<(i64, i64)> = None;
    let mut frame = vec![0; FRAME_HEADER + page_size as usize];
    loop {
        match log.read_exact(&mut frame) {
            Ok(()) if frame[SALTS_OF_FRAME] == salts => {}
            // From here on it is what was there before the log began anew.
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        if let Some(mark) = mark_of(&frame[FRAME_HEADER..]) {
            marks = Some((marks.map_or(mark, |(first, _)| first), mark));
        }
    }
    Ok(Marks { salts, marks })
}

/// The mark, if the page is that of the marks.
fn mark_of(page: &[u8]) -> Option<i64> {
    let one_cell = [0, 1];
    if page[0] != LEAF || page[3..5] != one_cell {
        return None;
    }
    let cell = usize::from(u16::from_be_bytes([page[8], page[9]]));
    let number = page.get(cell..)?.strip_prefix(CELL)?.first_chunk::<8>()?;
    Some(i64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mark_before_those_of_the_log_or_one_of_them_belongs() {
        let first = (7 << 32) + 100;
        let belongs = |base| super::belongs(base, (first, first + 20));
        for (mark, expected) in [(-2, false), (-1, true), (0, true), (20, true), (21, false)] {
            assert_eq!(belongs(Base::Mark(first + mark)), expected, "{mark}");
        }
        assert!(!belongs(Base::Mark(first + (1 << 32))));
        assert!(!belongs(Base::NoTable));
        assert!(belongs(Base::Unknown));
        let new = (7 << 32, (7 << 32) + 3);
        assert!(super::belongs(Base::NoTable, new));
        assert!(!super::belongs(Base::Mark(new.0 - 1), new));
    }

    #[test]
    fn whatever_is_in_a_log_is_read_without_a_panic() {
        for text in [&b""[..], &[0; 40], &[0xff; 5000]] {
            assert!(marks_of(text).is_err());
        }
        let mut log = vec![0; LOG_HEADER];
        log[..4].copy_from_slice(&MAGIC.to_be_bytes());
        log[8..12].copy_from_slice(&512u32.to_be_bytes());
        let mut page = vec![0; FRAME_HEADER + 512];
        page[FRAME_HEADER] = LEAF;
        page[FRAME_HEADER + 4] = 1;
        page[FRAME_HEADER + 8..FRAME_HEADER + 10].copy_from_slice(&[0xff, 0xff]);
        log.extend_from_slice(&page);
        assert_eq!(marks_of(&log[..]).unwrap().marks, None);
    }
}

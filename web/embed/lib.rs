//! Herald's web app, as files in the binary.
//!
//! `build.rs` builds it with npm. Where there is no npm, there are no files.

/// A file of the app, as it is and compressed.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Where it is served: `/assets/index-1a2b.js`.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Tells its contents from others.
    pub hash: &'static str,
    /// Whether what is at this path never changes.
    pub immutable: bool,
    /// Its bytes.
    pub plain: &'static [u8],
    /// The same in brotli, if that is shorter.
    pub brotli: Option<&'static [u8]>,
    /// The same in gzip, if that is shorter.
    pub gzip: Option<&'static [u8]>,
}

/// The path of the page in which all of the app happens.
pub const INDEX: &str = "/index.html";

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// All files; none if the app was not built.
#[must_use]
pub fn files() -> &'static [File] {
    FILES
}

/// The file that is served at `path`.
#[must_use]
pub fn find(path: &str) -> Option<&'static File> {
    // build.rs sorts them.
    let found = FILES.binary_search_by(|file| file.path.cmp(path));
    found.ok().map(|index| &FILES[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_by_its_path() {
        for file in files() {
            assert_eq!(find(file.path).map(|found| found.hash), Some(file.hash));
        }
        assert!(find("/nothing").is_none());
    }

    #[test]
    fn what_is_compressed_is_shorter() {
        for file in files() {
            for variant in [file.brotli, file.gzip].into_iter().flatten() {
                assert!(variant.len() < file.plain.len(), "{}", file.path);
            }
        }
    }
}

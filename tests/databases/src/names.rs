//! Names of databases on servers that many tests share.

/// That of a test.
pub(crate) fn test() -> String {
    format!("herald_test_{:016x}", rand::random::<u64>())
}

/// That of the template with this hash.
pub(crate) fn template(hash: u64) -> String {
    format!("herald_template_{hash:016x}")
}

/// The URL with another database.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let (path, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    let (server, _) = path.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{database}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_all_but_its_database() {
        let url = "mysql://a:b@host:1/mysql?ssl-mode=disabled";
        assert_eq!(
            with_database(url, "x"),
            "mysql://a:b@host:1/x?ssl-mode=disabled"
        );
        assert_eq!(with_database("postgres://host/y", "x"), "postgres://host/x");
    }
}

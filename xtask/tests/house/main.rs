//! What ARCHITECTURE.md says of the house is true.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod check;
mod circles;
mod dependencies;
mod documents;
mod environment;
mod house;
mod itself;
mod known;
mod source;
mod table;

use std::{fs, path::Path};

use known::Known;

fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap()
}

fn known() -> Known {
    let text = fs::read_to_string(root().join("xtask/tests/house/known.toml")).unwrap();
    let known: Known = toml::from_str(&text).unwrap();
    for reason in known
        .circle
        .iter()
        .map(|known| &known.reason)
        .chain(known.import.iter().map(|known| &known.reason))
    {
        assert!(!reason.is_empty(), "known.toml: each entry has a reason");
    }
    known
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn each_folder_imports_what_the_table_allows() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = table::rows(&text);
    let mut faults = check::rows(root(), &rows);
    faults.extend(check::imports(&house::imports(root()), &rows, &known()));
    none(&faults);
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    none(&check::circles_of(&house::imports(root()), &known()));
}

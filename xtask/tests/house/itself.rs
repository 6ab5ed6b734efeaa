//! That these tests can fail: a small workspace in a folder of its own.

use std::fs;

use tempfile::TempDir;

use crate::{
    check,
    house::{self, Import},
    known::Known,
    table,
};

const TABLE: &str = "
| folder | may import | must never |
|---|---|---|
| `low` | nothing | touch files: `std::fs` |
| `high` | `low`, `high/*` | - |
| `high/parts` | `low` | - |
";

/// Files by their paths; what is not given is empty.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let package = |name: &str| format!("[package]\nname = \"herald-{name}\"");
    let (low, high) = (package("low"), package("high"));
    let given = [
        ("Cargo.toml", "[workspace]\nmembers = [\"low\", \"high\"]"),
        ("low/Cargo.toml", &low),
        ("low/src/lib.rs", "pub struct Low;"),
        ("high/Cargo.toml", &high),
        ("high/src/lib.rs", "mod parts;\nmod top;\npub use top::Top;"),
        ("high/src/parts/mod.rs", "mod one;\nmod two;"),
        ("high/src/parts/one.rs", ""),
        ("high/src/parts/two.rs", ""),
        ("high/src/top.rs", "use crate::parts;\npub struct Top;"),
    ];
    for (path, text) in given.iter().chain(files) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn imports_of(files: &[(&str, &str)]) -> Vec<Import> {
    let tree = tree(files);
    house::imports(tree.path())
}

/// What the table is broken by.
fn broken(files: &[(&str, &str)]) -> Vec<String> {
    check::imports(&imports_of(files), &table::rows(TABLE), &Known::default())
}

fn circles(files: &[(&str, &str)], known: &str) -> Vec<String> {
    check::circles_of(&imports_of(files), &toml::from_str(known).unwrap())
}

#[test]
fn a_tree_as_the_table_wants_it_passes() {
    assert_eq!(broken(&[]), Vec::<String>::new());
    assert_eq!(circles(&[], ""), Vec::<String>::new());
    let tree = tree(&[]);
    let rows = table::rows(TABLE);
    assert_eq!(check::rows(tree.path(), &rows), Vec::<String>::new());
}

#[test]
fn an_import_upwards_is_told_with_file_and_line() {
    let told = ["high/src/parts/one.rs:2: crate::top::Top: high/parts may not import high"];
    for text in [
        "\nuse crate::top::Top;",
        "\nuse crate::{top::Top};",
        "\nfn f() { crate::top::Top; }",
        "\nfn f() { println!(\"{}\", crate::top::Top); }",
    ] {
        assert_eq!(broken(&[("high/src/parts/one.rs", text)]), told, "{text}");
    }
    // Through what the crate re-exports, and by the way up.
    for text in [
        "use crate::Top;",
        "use super::super::top::Top as T;",
        "use crate::top::*;",
    ] {
        assert_eq!(
            broken(&[("high/src/parts/one.rs", text)]).len(),
            1,
            "{text}"
        );
    }
}

#[test]
fn another_crate_is_imported_where_the_table_says_so() {
    assert!(broken(&[("high/src/parts/two.rs", "use herald_low::Low;")]).is_empty());
    let told = ["low/src/lib.rs:1: herald_high::Top: low may not import high"];
    assert_eq!(broken(&[("low/src/lib.rs", "use herald_high::Top;")]), told);
}

#[test]
fn what_a_folder_must_never_use_is_told() {
    let told = ["low/src/lib.rs:1: std::fs::read: low may not import std::fs"];
    for text in ["use std::fs::read;", "fn f() { std::fs::read(\"\"); }"] {
        assert_eq!(broken(&[("low/src/lib.rs", text)]), told, "{text}");
    }
    assert!(broken(&[("low/src/lib.rs", "use std::fmt;")]).is_empty());
}

#[test]
fn what_is_compiled_for_tests_only_is_left_out() {
    let text = "#[cfg(test)]\nmod tests { use crate::top::Top; }";
    assert!(broken(&[("high/src/parts/one.rs", text)]).is_empty());
}

#[test]
fn a_row_of_a_folder_that_is_gone_is_told() {
    let tree = tree(&[]);
    let rows = table::rows(&format!("{TABLE}| `high/gone` | nothing | - |"));
    let told = ["ARCHITECTURE.md: high/gone has a row and is not there"];
    assert_eq!(check::rows(tree.path(), &rows), told);
}

#[test]
fn a_circle_is_told_with_the_imports_that_close_it() {
    let files = [
        (
            "high/src/parts/one.rs",
            "use super::two::Two;\npub struct One;",
        ),
        (
            "high/src/parts/two.rs",
            "use super::one::One;\npub struct Two;",
        ),
    ];
    let faults = circles(&files, "");
    assert_eq!(faults.len(), 1, "{faults:?}");
    let told = "high/src/parts/one.rs:1: super::two::Two of high/src/parts/two.rs";
    assert!(faults[0].contains(told), "{faults:?}");
    let known = "[[circle]]\nreason = \"old\"\nfiles = [\"high/parts/one\", \"high/parts/two\"]";
    assert!(circles(&files, known).is_empty());
    // One that is dissolved has to leave the list.
    assert_eq!(circles(&[], known).len(), 1);
}

#[test]
fn an_exception_that_is_gone_has_to_leave_the_list() {
    let known = "[[import]]\nreason = \"old\"\nfrom = \"high/parts\"\nto = \"high\"";
    let known: Known = toml::from_str(known).unwrap();
    let rows = table::rows(TABLE);
    let upwards = imports_of(&[("high/src/parts/one.rs", "use crate::top::Top;")]);
    assert!(check::imports(&upwards, &rows, &known).is_empty());
    assert_eq!(check::imports(&imports_of(&[]), &rows, &known).len(), 1);
}

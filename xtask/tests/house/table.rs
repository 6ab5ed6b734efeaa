//! The table of ARCHITECTURE.md: who may import whom.

use std::path::Path;

use crate::house::{Import, Target};

/// How the table begins.
const HEAD: &str = "| folder | may import | must never |";

/// The folders of one row. They may import one another.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) folders: Vec<String>,
    /// They are not there yet.
    pub(crate) is_planned: bool,
    may: Vec<String>,
    /// Beginnings of paths: `std::fs`.
    never: Vec<String>,
}

/// Reads the table in `text`.
pub(crate) fn rows(text: &str) -> Vec<Row> {
    let mut lines = text.lines().skip_while(|line| *line != HEAD);
    assert!(lines.next().is_some(), "no table that begins with {HEAD}");
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            assert_eq!(cells.len(), 3, "{line}");
            Row {
                folders: quoted(cells[0]),
                is_planned: cells[0].contains("(planned)"),
                may: quoted(cells[1]),
                never: quoted(cells[2])
                    .into_iter()
                    .filter(|name| is_path(name))
                    .collect(),
            }
        })
        .collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Whether it is a crate or a module, and not `POST`.
fn is_path(name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
    name.chars().all(is_name)
}

/// `broker/src/bus/mod.rs` is `broker/bus` in the table.
pub(crate) fn name(file: &Path) -> String {
    let name = file.with_extension("").display().to_string();
    let name = name.replacen("/src/", "/", 1);
    name.trim_end_matches("/mod").to_owned()
}

fn is_within(name: &str, folder: &str) -> bool {
    name.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The row of `name`: that with the longest folder, and that folder.
fn row<'a>(rows: &'a [Row], name: &str) -> Option<(&'a Row, &'a str)> {
    rows.iter()
        .flat_map(|row| row.folders.iter().map(move |folder| (row, folder.as_str())))
        .filter(|(_, folder)| is_within(name, folder))
        .max_by_key(|(_, folder)| folder.len())
}

/// Why `rows` forbid this import, with the folders that it goes from and to, or the name that must not be.
pub(crate) fn forbidden(rows: &[Row], import: &Import) -> Option<(String, String)> {
    let from = name(&import.file);
    let krate = from.split('/').next().unwrap_or_default();
    // What a crate is tested with is its own affair.
    let is_dev = ["tests", "benches", "examples"]
        .iter()
        .any(|folder| is_within(&from, &format!("{krate}/{folder}")));
    if is_dev && krate != "tests" {
        return None;
    }
    let Some((of, folder)) = row(rows, &from) else {
        return Some((from, "anything, as it has no row".to_owned()));
    };
    let to = match &import.target {
        Target::Ours(folder) => folder.clone(),
        Target::File(file) => {
            let to = name(file);
            match row(rows, &to) {
                Some((row, _)) if std::ptr::eq(row, of) => return None,
                Some((_, folder)) => folder.to_owned(),
                None => return Some((folder.to_owned(), to)),
            }
        }
        Target::Foreign => {
            let path = import.path.as_str();
            // A crate's row holds for its folders, too.
            let never = rows
                .iter()
                .filter(|row| row.folders.iter().any(|folder| is_within(&from, folder)))
                .flat_map(|row| &row.never)
                .find(|never| {
                    path.strip_prefix(never.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
                })?;
            return Some((folder.to_owned(), never.clone()));
        }
    };
    let may = of.may.iter().any(|may| {
        *may == to
            || may
                .strip_suffix("/*")
                .is_some_and(|all| is_within(&to, all))
    });
    (!may).then(|| (folder.to_owned(), to))
}

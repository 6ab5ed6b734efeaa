//! What is wrong with a tree of files, a sentence each.

use std::{collections::BTreeSet, path::Path};

use crate::{
    circles::circles,
    house::{Import, Target},
    known::Known,
    table::{self, Row},
};

/// How many imports of a circle are shown.
const SHOWN: usize = 40;

/// Imports that the table forbids, and known ones that are gone.
pub(crate) fn imports(imports: &[Import], rows: &[Row], known: &Known) -> Vec<String> {
    let mut faults = BTreeSet::new();
    let mut met = BTreeSet::new();
    for import in imports {
        let Some((from, to)) = table::forbidden(rows, import) else {
            continue;
        };
        let entry = known
            .import
            .iter()
            .position(|known| known.from == from && known.to == to);
        if let Some(entry) = entry {
            met.insert(entry);
        } else {
            let Import {
                file, line, path, ..
            } = import;
            faults.insert(format!(
                "{}:{line}: {path}: {from} may not import {to}",
                file.display()
            ));
        }
    }
    for (entry, known) in known.import.iter().enumerate() {
        if !met.contains(&entry) {
            let (from, to) = (&known.from, &known.to);
            faults.insert(format!("known.toml: {from} does not import {to} any more"));
        }
    }
    faults.into_iter().collect()
}

/// Rows of folders that are not there, and of planned ones that are.
pub(crate) fn rows(root: &Path, rows: &[Row]) -> Vec<String> {
    let is_there = |folder: &str| {
        let (krate, rest) = folder.split_once('/').unwrap_or((folder, ""));
        let path = root.join(krate).join("src").join(rest);
        path.is_dir() || root.join(folder).is_dir()
    };
    let is_file = |folder: &str| {
        let (krate, rest) = folder.split_once('/').unwrap_or((folder, ""));
        root.join(krate)
            .join("src")
            .join(rest)
            .with_extension("rs")
            .is_file()
    };
    let mut faults = Vec::new();
    for row in rows {
        for folder in &row.folders {
            match (is_there(folder), row.is_planned) {
                (true, false) | (false, true) => {}
                (false, false) if is_file(folder) => {}
                (false, false) => {
                    faults.push(format!(
                        "ARCHITECTURE.md: {folder} has a row and is not there"
                    ));
                }
                (true, true) => {
                    faults.push(format!(
                        "ARCHITECTURE.md: {folder} is there, and no longer planned"
                    ));
                }
            }
        }
    }
    faults
}

/// Circles that are not known, and known ones that are gone.
pub(crate) fn circles_of(imports: &[Import], known: &Known) -> Vec<String> {
    let mut faults = Vec::new();
    let mut left: Vec<_> = known.circle.iter().collect();
    for circle in circles(imports) {
        let files: Vec<String> = circle.files.iter().map(|file| table::name(file)).collect();
        let entry = left.iter().position(|known| known.files == files);
        if let Some(entry) = entry {
            left.remove(entry);
            continue;
        }
        let mut fault = format!("a circle of {} files: {files:?}", files.len());
        for import in circle.imports.iter().take(SHOWN) {
            let Target::File(to) = &import.target else {
                continue;
            };
            let Import {
                file, line, path, ..
            } = import;
            let (file, to) = (file.display(), to.display());
            fault.push_str(&format!("\n  {file}:{line}: {path} of {to}"));
        }
        faults.push(fault);
    }
    for known in left {
        let files = &known.files;
        faults.push(format!(
            "known.toml: these are no circle, or another one: {files:?}"
        ));
    }
    faults
}

//! Every variable that begins with `HERALD_` is in a document.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{documents::documents, none, root};

/// What the code is in.
const KINDS: [&str; 5] = ["rs", "ts", "mjs", "js", "py"];

/// What tests make up.
const MADE_UP: [&str; 8] = [
    "HERALD_HTTP_PORT",
    "HERALD_HTTP__LISTEN_TO",
    "HERALD_LOG_LEVEL",
    "HERALD_P",
    "HERALD_P17",
    "HERALD_SERVICE_HOST",
    "HERALD_WEBHOOK_SECRET",
    "HERALD_WEBHOOK__SECERT",
];

/// The names that begin with `HERALD_` in `text`.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("HERALD_") && word.len() > "HERALD_".len())
        .map(str::to_owned)
        .collect()
}

/// `HERALD_HTTP__LISTEN` is `listen` below `[http]`.
fn is_key(keys: &toml::Table, name: &str) -> bool {
    let key = name.trim_start_matches("HERALD_").to_lowercase();
    key.split_once("__").is_some_and(|(section, key)| {
        keys.get(section)
            .is_some_and(|section| section.get(key).is_some())
    })
}

fn read_all(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.')
                && !["target", "node_modules", "data", "house"].contains(&&*name)
            {
                read_all(&path, found);
            }
        } else if path
            .extension()
            .is_some_and(|kind| KINDS.iter().any(|of| kind == *of))
        {
            found.extend(names(&fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Those of `used` that neither `documents` nor the example of the configuration name.
fn missing(used: &BTreeSet<String>, documents: &str, keys: &toml::Table) -> Vec<String> {
    let told = names(documents);
    let is_missing = |name: &&String| {
        !told.contains(*name) && !is_key(keys, name) && !MADE_UP.contains(&name.as_str())
    };
    used.iter().filter(is_missing).cloned().collect()
}

#[test]
fn each_variable_is_in_a_document() {
    let mut used = BTreeSet::new();
    read_all(root(), &mut used);
    let example = fs::read_to_string(root().join("herald.example.toml")).unwrap();
    let documents: String = documents()
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .chain([example.clone()])
        .collect();
    assert!(used.contains("HERALD_BIN") && used.len() > 20, "{used:?}");
    none(&missing(&used, &documents, &example.parse().unwrap()));
}

#[test]
fn a_variable_that_no_document_names_is_told() {
    let keys = "[http]\nlisten = ''".parse().unwrap();
    let used = names("\"HERALD_HTTP__LISTEN\", HERALD_TOLD and HERALD_HIDDEN, HERALD_HTTP__HIDDEN");
    let missing = missing(&used, "`HERALD_TOLD`", &keys);
    assert_eq!(missing, ["HERALD_HIDDEN", "HERALD_HTTP__HIDDEN"]);
}

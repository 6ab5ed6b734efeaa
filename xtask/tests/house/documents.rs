//! The documents: their links lead somewhere, and each decision is in the index.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{none, root};

/// Where documents are.
const FOLDERS: [&str; 4] = ["", "docs", "docs/decisions", "web"];

pub(crate) fn documents() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    files
}

/// `[text](target)`: the targets.
fn links(text: &str) -> Vec<String> {
    let text = text.replace('\n', " ");
    let after = text.split("](").skip(1);
    after
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// The links of `text`, a document in `folder`, that lead nowhere.
fn broken(folder: &Path, text: &str) -> Vec<String> {
    let mut links = links(text);
    links.retain(|link| {
        let file = link.split('#').next().unwrap_or_default();
        !link.contains("://") && !folder.join(file).exists()
    });
    links
}

#[test]
fn each_link_leads_somewhere() {
    let mut faults = Vec::new();
    for file in documents() {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root()).unwrap().display();
        for link in broken(file.parent().unwrap(), &text) {
            faults.push(format!("{name}: {link} is not there"));
        }
    }
    none(&faults);
}

/// The names of our files and folders in `text`, as in the table of ARCHITECTURE.md or as paths, of which there are none.
fn unknown(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let mut names: Vec<String> = quoted.map(str::to_owned).collect();
    names.retain(|name| {
        let Some((top, rest)) = name.split_once('/') else {
            return false;
        };
        let is_pattern = rest.contains(['*', '{', ' ', '%']) || rest.contains("NNNN");
        let top = root().join(top);
        if is_pattern || name.starts_with('/') || !top.join("Cargo.toml").exists() {
            return false;
        }
        let mut places = [top.join(rest), top.join("src").join(rest)].into_iter();
        !places.any(|place| place.exists() || place.with_extension("rs").exists())
    });
    names
}

#[test]
fn each_file_that_is_named_is_there() {
    let mut faults = Vec::new();
    for file in documents() {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root()).unwrap().display();
        for unknown in unknown(&text) {
            faults.push(format!("{name}: there is no {unknown}"));
        }
    }
    none(&faults);
}

#[test]
fn a_name_without_a_file_is_told() {
    let text =
        "`acl/decide`, `broker/src/session`, `api/*`, `users/alice`, `acl/gone`, `acl/src/gone.rs`";
    assert_eq!(unknown(text), ["acl/gone", "acl/src/gone.rs"]);
}

#[test]
fn a_link_that_leads_nowhere_is_told() {
    let text = "[a](README.md), [b](https://example.org/x), [c](gone.md#part)";
    assert_eq!(broken(root(), text), ["gone.md#part"]);
}

#[test]
fn each_decision_has_its_place() {
    let folder = root().join("docs/decisions");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    names.sort();
    let mut faults = Vec::new();
    for (number, name) in (1..).zip(&names) {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let (number, title) = (format!("{number:04}"), text.lines().next().unwrap());
        let title = title
            .strip_prefix(&format!("# {number}. "))
            .unwrap_or_default();
        let line = format!("- [{number}]({name}) {title}");
        if title.is_empty() || !index.lines().any(|of| of == line) {
            faults.push(format!(
                "{name}: README.md has no line {line:?}, or the title another number"
            ));
        }
        let mut at = 0;
        for part in [
            "\nStatus: ",
            " Date: ",
            "\n## Context\n",
            "\n## Decision\n",
            "\n## Consequences\n",
        ] {
            match text[at..].find(part) {
                Some(found) => at += found,
                None => faults.push(format!("{name}: {part:?} is missing or misplaced")),
            }
        }
    }
    none(&faults);
}

#[test]
fn the_architecture_is_read_in_one_go() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(
        text.lines().count() < 200,
        "what is longer is a decision, or a document of its own"
    );
}

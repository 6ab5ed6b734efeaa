//! The server's build, with and without what builds the app.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What the app's build needs beside what Rust does.
const NODE: [&str; 3] = ["node", "npm", "npx"];

/// A folder with all programs of this machine's `PATH`, but without Node.js.
fn without_node(folder: &Path) {
    let path = std::env::var_os("PATH").unwrap();
    for program in std::env::split_paths(&path)
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
    {
        let program = program.unwrap();
        let name = program.file_name();
        if !NODE.iter().any(|node| name == *node) {
            // The first of a name counts.
            let _ = symlink(program.path(), folder.join(name));
        }
    }
}

/// The real Node.js.
fn node() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join("node"));
    places.find(|place| place.exists()).unwrap()
}

fn build(path: &Path, target: &Path) -> Output {
    let output = build_with("", path, target);
    assert!(output.status.success(), "{}", said(&output));
    output
}

/// Builds with `HERALD_WEB` as it is in `mode`.
fn build_with(mode: &str, path: &Path, target: &Path) -> Output {
    Command::new(env!("CARGO"))
        .args([
            "build",
            "--package",
            "herald-web",
            "--offline",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("PATH", path)
        .env("HERALD_WEB", mode)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The table of files that is compiled in.
fn embedded(target: &Path) -> String {
    let outs = fs::read_dir(target.join("debug/build")).unwrap();
    let mut tables = outs.map(|out| out.unwrap().path().join("out/files.rs"));
    fs::read_to_string(tables.find(|table| table.exists()).unwrap()).unwrap()
}

#[test]
fn without_node_the_build_works_and_says_so_and_node_installed_later_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let [path, target] = ["path", "target"].map(|name| folder.path().join(name));
    fs::create_dir(&path).unwrap();
    without_node(&path);
    let output = build(&path, &target);
    let said = said(&output);
    assert!(
        said.contains("comes without its web app: Node.js is missing"),
        "{said}"
    );
    assert_eq!(embedded(&target), "&[]");

    symlink(node(), path.join("node")).unwrap();
    build(&path, &target);
    assert!(embedded(&target).contains("/index.html"));
}

#[test]
fn a_required_app_that_is_missing_fails_the_build_and_one_to_be_skipped_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let [path, target] = ["path", "target"].map(|name| folder.path().join(name));
    fs::create_dir(&path).unwrap();
    without_node(&path);
    let output = build_with("required", &path, &target);
    assert!(!output.status.success());
    let text = said(&output);
    assert!(
        text.contains("HERALD_WEB=required: Node.js is missing"),
        "{text}"
    );

    symlink(node(), path.join("node")).unwrap();
    let output = build_with("skip", &path, &target);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(embedded(&target), "&[]");

    let output = build_with("maybe", &path, &target);
    assert!(!output.status.success());
    assert!(said(&output).contains("not maybe"), "{}", said(&output));
}

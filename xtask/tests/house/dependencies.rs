//! Dependencies come from where, under what licence and by what name `deny.toml` says. `cargo deny` would take minutes to build.

use std::{env, fs, process::Command};

use serde::Deserialize;
use serde_json::{Value, json};
use spdx::{Expression, ParseMode};

use crate::{none, root};

/// What is read of `deny.toml`.
#[derive(Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

fn rules() -> Rules {
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

/// What is wrong with the packages of `metadata`.
fn faults(metadata: &Value, rules: &Rules) -> Vec<String> {
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let (name, version) = (package["name"].as_str().unwrap(), &package["version"]);
        // Our own have none.
        let Some(source) = package["source"].as_str() else {
            continue;
        };
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        if !rules.sources.allow_registry.iter().any(|of| of == registry) {
            faults.push(format!("{name} {version} comes from {source}"));
        }
        if rules.bans.deny.iter().any(|ban| ban.name == name) {
            faults.push(format!("{name} {version} is banned"));
        }
        let license = package["license"].as_str().unwrap_or_default();
        let is_allowed = Expression::parse_mode(license, ParseMode::LAX).is_ok_and(|license| {
            license.evaluate(|one| rules.licenses.allow.contains(&one.to_string()))
        });
        if !is_allowed {
            faults.push(format!("{name} {version} is licensed {license:?}"));
        }
    }
    faults
}

#[test]
fn dependencies_are_as_deny_toml_wants_them() {
    let rules = rules();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--locked", "--format-version", "1"]);
    for target in &rules.graph.targets {
        cargo.args(["--filter-platform", target]);
    }
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(metadata["packages"].as_array().unwrap().len() > 100);
    none(&faults(&metadata, &rules));
}

#[test]
fn a_foreign_source_a_licence_that_is_not_allowed_and_a_banned_name_are_told() {
    let crates_io = "registry+https://github.com/rust-lang/crates.io-index";
    let package = |name: &str, source: &str, license: &str| json!({"name": name, "version": "1.0.0", "source": source, "license": license});
    let metadata = json!({"packages": [
        package("good", crates_io, "MIT/Apache-2.0"),
        package("either", crates_io, "GPL-3.0 OR MIT"),
        package("both", crates_io, "GPL-3.0 AND MIT"),
        package("none", crates_io, ""),
        package("git", "git+https://example.org/x", "MIT"),
        package("native-tls", crates_io, "MIT"),
        {"name": "ours", "version": "0.1.0", "source": null, "license": null},
    ]});
    let faults = faults(&metadata, &rules());
    let told: Vec<&str> = faults
        .iter()
        .filter_map(|fault| fault.split(' ').next())
        .collect();
    assert_eq!(told, ["both", "none", "git", "native-tls"], "{faults:?}");
}

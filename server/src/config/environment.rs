//! What the environment says: `HERALD_HTTP__LISTEN` is `http.listen`.

use std::{collections::BTreeSet, env};

use figment::providers::Env;

/// Variables that are not keys of a section.
const ALONE: [&str; 4] = [
    "HERALD_DATA_DIR",
    "HERALD_CONFIG",
    "HERALD_LOG",
    // Of the build: `HERALD_WEB=skip cargo run`.
    "HERALD_WEB",
];

/// The sections of the configuration.
const SECTIONS: [&str; 10] = [
    "HTTP",
    "MQTT",
    "TLS",
    "DATABASE",
    "AUTH",
    "WORKER",
    "WEBHOOK",
    "LIMITS",
    "RETENTION",
    "LOG",
];

/// How many ignored variables are named.
const NAMED: usize = 8;

/// The keys that are set: variables with `__`, and `HERALD_DATA_DIR`.
pub(super) fn variables() -> Env {
    Env::prefixed("HERALD_")
        .filter(|key| key == "data_dir" || key.as_str().contains("__"))
        .split("__")
        .lowercase(true)
}

/// `HERALD_LOG`, which is `log.level`.
pub(super) fn log() -> Option<String> {
    env::var("HERALD_LOG").ok().filter(|text| !text.is_empty())
}

/// Variables that look like Herald's and are not. They are no reason not to start: Kubernetes makes
/// `HERALD_HTTP_PORT` and more for a service that is called `herald-http`.
pub(crate) fn ignored() -> Option<String> {
    ignored_of(env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
}

fn ignored_of(names: impl Iterator<Item = String>) -> Option<String> {
    let unknown = |name: &String| {
        name.starts_with("HERALD_") && !name.contains("__") && !ALONE.contains(&name.as_str())
    };
    let names: BTreeSet<String> = names.filter(unknown).collect();
    if names.is_empty() {
        return None;
    }
    let mut text = names
        .iter()
        .take(NAMED)
        .map(with_hint)
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > NAMED {
        text.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    Some(text)
}

/// `name`, and the variable that may have been meant.
fn with_hint(name: &String) -> String {
    let key = name.trim_start_matches("HERALD_");
    let meant = SECTIONS.iter().find_map(|section| {
        let rest = key.strip_prefix(section)?.strip_prefix('_')?;
        Some(format!("HERALD_{section}__{rest}"))
    });
    match meant {
        Some(meant) => format!("{name} ({meant}?)"),
        None => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Option<String> {
        ignored_of(names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn what_is_no_variable_of_heralds_is_named_with_what_may_have_been_meant() {
        assert_eq!(
            named(&[
                "HERALD_HTTP__LISTEN",
                "HERALD_DATA_DIR",
                "HERALD_CONFIG",
                "HERALD_LOG",
                "HTTP_LISTEN",
            ]),
            None
        );
        let text = named(&["HERALD_LOG_LEVEL", "HERALD_SERVICE_HOST", "PATH"]).unwrap();
        assert_eq!(
            text,
            "HERALD_LOG_LEVEL (HERALD_LOG__LEVEL?), HERALD_SERVICE_HOST"
        );
        let many: Vec<String> = (10..30).map(|n| format!("HERALD_P{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(named(&many).unwrap().ends_with("HERALD_P17 and 12 more"));
    }
}

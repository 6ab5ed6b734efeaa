//! What is logged, out of what `log.level` says.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// How much libraries log of their own work. The embedded router makes spans of the level of errors for
/// each message, and the client of NATS errors of each try to connect: what matters of them is logged where they are used. sqlx
/// warns of slow statements with their texts, which are long.
const QUIET: &str = "rumqttd=off,async_nats=off,poem=warn,sqlx=warn,sqlx::query=error";

/// Reads a level (`warning` is `warn`), or directives such as `info,herald_broker=debug`. `None` if it is neither.
///
/// A word alone that is no level would name a target, and so silence all others.
pub(super) fn parse(text: &str) -> Option<EnvFilter> {
    let parts: Vec<String> = text
        .split(',')
        .map(|part| part.trim().to_lowercase())
        .collect();
    let mut directives = Vec::with_capacity(parts.len());
    for part in &parts {
        let (target, level) = match part.rsplit_once('=') {
            Some((target, level)) => (Some(target), level),
            None => (None, part.as_str()),
        };
        let level = if level == "warning" { "warn" } else { level };
        let filter: LevelFilter = level.parse().ok().filter(|_| !level.is_empty())?;
        directives.push(match target {
            Some(target) => format!("{target}={filter}"),
            None => filter.to_string(),
        });
    }
    let mut text = directives.join(",");
    // At more than INFO everything is shown.
    if let [only] = directives.as_slice()
        && matches!(only.as_str(), "info" | "warn")
    {
        text = format!("{only},{QUIET}");
    }
    EnvFilter::builder().parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_read() {
        for (text, read) in [
            (
                "info",
                "rumqttd=off,async_nats=off,poem=warn,sqlx::query=error,sqlx=warn,info",
            ),
            (
                "WARNING",
                "rumqttd=off,async_nats=off,poem=warn,sqlx::query=error,sqlx=warn,warn",
            ),
            ("error", "error"),
            ("off", "off"),
            ("trace", "trace"),
            ("info, herald_broker=Debug", "herald_broker=debug,info"),
            ("herald_api=warning", "herald_api=warn"),
        ] {
            let filter = parse(text).unwrap().to_string();
            let sorted = |text: &str| {
                let mut parts: Vec<String> = text.split(',').map(str::to_owned).collect();
                parts.sort();
                parts
            };
            assert_eq!(sorted(&filter), sorted(read), "{text}");
        }
    }

    #[test]
    fn what_would_silence_the_log_is_refused() {
        for text in [
            "",
            "verbose",
            "herald",
            "info,",
            "herald=loud",
            "=",
            "a=b=c",
            "info;debug",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}

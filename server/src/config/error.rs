//! Why a configuration cannot be used.

use crate::logging::LogError;

/// A configuration that cannot be used: one line that says which key, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub(crate) String);

impl From<LogError> for ConfigError {
    fn from(error: LogError) -> Self {
        Self(error.to_string())
    }
}

/// The first thing wrong, with its key and where it stands. It does not repeat the value: that may be a secret.
impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        use figment::error::Kind;

        let Some(first) = error.into_iter().next() else {
            return Self("it cannot be read".into());
        };
        let mut key = first.path.join(".");
        if let Kind::UnknownField(field, _) = &first.kind
            && !key.ends_with(field.as_str())
        {
            key = if key.is_empty() {
                field.clone()
            } else {
                format!("{key}.{field}")
            };
        }
        let place = match first.metadata.as_ref().and_then(|m| m.source.as_ref()) {
            Some(source) => format!(" (in {source})"),
            None => first
                .metadata
                .as_ref()
                .map(|m| format!(" (in {})", m.name))
                .unwrap_or_default(),
        };
        let what = match &first.kind {
            // Of this module's own making.
            Kind::Message(text) => text.replace('\n', " "),
            Kind::InvalidType(_, expected)
            | Kind::InvalidValue(_, expected)
            | Kind::InvalidLength(_, expected) => format!("it must be {expected}"),
            Kind::UnknownVariant(_, known) => format!("it must be one of {}", known.join(", ")),
            Kind::UnknownField(_, known) => {
                format!("there is no such key; known are {}", known.join(", "))
            }
            Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "the number is too large".into(),
            _ => "it cannot be read".into(),
        };
        match key.is_empty() {
            true => Self(format!("{what}{place}")),
            false => Self(format!("{key}: {what}{place}")),
        }
    }
}

//! The section `[webhook]`, and what the webhook is made of.

use std::{fmt, fs, num::NonZeroU32, path::PathBuf, time::Duration};

use herald_worker::{Authorities, Endpoint, SigningKey, WebhookError, WebhookOptions};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::ConfigError;

/// The least and the most that an exchange may take, in milliseconds.
const TIMEOUT_MS: (u64, u64) = (100, 600_000);

/// The most exchanges at once.
const MAX_CONCURRENCY: u32 = 1000;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    pub(crate) url: WebhookUrl,
    pub(crate) secret: Secret,
    pub(crate) previous_secret: Secret,
    pub(crate) timeout_ms: u64,
    pub(crate) concurrency: u32,
    pub(crate) ca: PathBuf,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            url: WebhookUrl::default(),
            secret: Secret::default(),
            previous_secret: Secret::default(),
            timeout_ms: 10_000,
            concurrency: 16,
            ca: PathBuf::new(),
        }
    }
}

impl Webhook {
    /// `attempt_ms` is how long an attempt may take.
    pub(super) fn check(&self, attempt_ms: u64) -> Result<(), ConfigError> {
        self.options()?;
        if self.timeout_ms > attempt_ms {
            return Err(ConfigError(format!(
                "webhook.timeout_ms: {} is more than worker.timeout_ms ({attempt_ms}), which ends the attempt before",
                self.timeout_ms
            )));
        }
        Ok(())
    }

    /// What the webhook is made of.
    pub(crate) fn options(&self) -> Result<WebhookOptions, ConfigError> {
        let error =
            |key: &str, why: &dyn fmt::Display| Err(ConfigError(format!("webhook.{key}: {why}")));
        let named = |key: &'static str| {
            move |why: WebhookError| ConfigError(format!("webhook.{key}: {why}"))
        };
        const NEEDED: &str = "worker.processor = \"webhook\" needs it";
        if self.url.0.is_empty() {
            return error("url", &NEEDED);
        }
        if self.secret.0.is_empty() {
            return error("secret", &NEEDED);
        }
        let (least, most) = TIMEOUT_MS;
        if !(least..=most).contains(&self.timeout_ms) {
            return error("timeout_ms", &format_args!("between {least} and {most}"));
        }
        let concurrency = NonZeroU32::new(self.concurrency).filter(|n| n.get() <= MAX_CONCURRENCY);
        let Some(concurrency) = concurrency else {
            return error(
                "concurrency",
                &format_args!("between 1 and {MAX_CONCURRENCY}"),
            );
        };
        Ok(WebhookOptions {
            endpoint: Endpoint::parse(&self.url.0).map_err(named("url"))?,
            key: SigningKey::parse(&self.secret.0).map_err(named("secret"))?,
            previous_key: self.previous_key().map_err(named("previous_secret"))?,
            authorities: self.authorities()?,
            timeout: Duration::from_millis(self.timeout_ms),
            concurrency,
        })
    }

    fn previous_key(&self) -> Result<Option<SigningKey>, WebhookError> {
        let secret = &self.previous_secret.0;
        (!secret.is_empty())
            .then(|| SigningKey::parse(secret))
            .transpose()
    }

    fn authorities(&self) -> Result<Authorities, ConfigError> {
        if self.ca.as_os_str().is_empty() {
            return Ok(Authorities::System);
        }
        let error = |why: &dyn fmt::Display| {
            ConfigError(format!("webhook.ca: '{}': {why}", self.ca.display()))
        };
        let pem = fs::read(&self.ca).map_err(|e| error(&e))?;
        Authorities::from_pem(&pem).map_err(|e| error(&e))
    }
}

/// A URL, shown without the credentials that it may carry.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct WebhookUrl(String);

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Endpoint::parse(&self.0) {
            Ok(endpoint) => endpoint.fmt(f),
            // Whatever it is, it may hold a password.
            Err(_) => f.write_str(hidden(&self.0)),
        }
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for WebhookUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is never shown: only whether there is one.
#[derive(Clone, Default)]
pub(crate) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hidden(&self.0))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(hidden(&self.0))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The usual error would repeat what it found.
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| D::Error::custom("it must be text"))
    }
}

/// Stands for a text that is not shown.
fn hidden(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "***" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn webhook() -> Webhook {
        Webhook {
            url: WebhookUrl("https://me:pass@service.example/in?key=pass".into()),
            secret: Secret(SECRET.into()),
            previous_secret: Secret(SECRET.into()),
            ..Webhook::default()
        }
    }

    fn refused(change: impl FnOnce(&mut Webhook)) -> String {
        let mut webhook = webhook();
        change(&mut webhook);
        webhook.options().unwrap_err().to_string()
    }

    #[test]
    fn a_url_and_a_secret_are_enough() {
        let options = webhook().options().unwrap();
        assert_eq!(options.timeout, Duration::from_secs(10));
        assert_eq!(options.concurrency.get(), 16);
    }

    #[test]
    fn what_is_wrong_is_named_in_one_line_and_not_repeated() {
        for (key, error) in [
            ("url", refused(|w| w.url.0.clear())),
            ("url", refused(|w| w.url.0 = "service.example/pass".into())),
            ("secret", refused(|w| w.secret.0.clear())),
            ("secret", refused(|w| w.secret.0 = "whsec_pass".into())),
            (
                "previous_secret",
                refused(|w| w.previous_secret.0 = "whsec_pass".into()),
            ),
            ("timeout_ms", refused(|w| w.timeout_ms = 99)),
            ("timeout_ms", refused(|w| w.timeout_ms = 600_001)),
            ("concurrency", refused(|w| w.concurrency = 0)),
            ("concurrency", refused(|w| w.concurrency = 1001)),
            ("ca", refused(|w| w.ca = "/dev/null".into())),
            ("ca", refused(|w| w.ca = "/nowhere/ca.pem".into())),
        ] {
            assert!(error.starts_with(&format!("webhook.{key}: ")), "{error}");
            assert!(!error.contains("pass") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn an_exchange_ends_before_the_attempt_does() {
        let webhook = Webhook {
            timeout_ms: 5000,
            ..webhook()
        };
        webhook.check(5000).unwrap();
        let text = webhook.check(4999).unwrap_err().to_string();
        assert!(text.starts_with("webhook.timeout_ms: 5000 "), "{text}");
        assert!(text.contains("worker.timeout_ms (4999)"), "{text}");
    }

    #[test]
    fn credentials_are_not_shown() {
        let webhook = webhook();
        for shown in [format!("{webhook:?}"), toml::to_string(&webhook).unwrap()] {
            assert!(
                !shown.contains("pass") && !shown.contains(&SECRET[6..]),
                "{shown}"
            );
            assert!(
                shown.contains("https://***@service.example/in?***"),
                "{shown}"
            );
        }
    }
}

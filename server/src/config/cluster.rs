//! The section `[cluster]`.

use std::{fs, path::PathBuf, time::Duration};

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::{ConfigError, webhook::Secret};

/// The longest time for clients to go, in seconds: an hour.
const MAX_DRAIN_S: u32 = 3600;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cluster {
    pub(crate) drain_s: u32,
    pub(crate) relay: Secret,
    pub(crate) relay_file: PathBuf,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            drain_s: 10,
            relay: Secret::default(),
            relay_file: PathBuf::new(),
        }
    }
}

impl Cluster {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.drain_s > MAX_DRAIN_S {
            let text = format!("cluster.drain_s: at most {MAX_DRAIN_S}");
            return Err(ConfigError(text));
        }
        Ok(())
    }

    /// How long clients are given to go to other servers.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_s.into())
    }

    /// The NATS server that carries what is published to shared topics, and how to sign in there; `None` for the database's own
    /// relay. Errors do not repeat the URL: it may hold a password.
    pub(crate) fn relay(&self) -> Result<Option<(ServerAddr, ConnectOptions)>, ConfigError> {
        if self.relay_file.as_os_str().is_empty() {
            let url = self.relay.expose();
            return match url.is_empty() {
                true => Ok(None),
                false => nats(url).map(Some).map_err(|why| wrong("relay", why)),
            };
        }
        if !self.relay.expose().is_empty() {
            return Err(wrong("relay_file", "cluster.relay is set, too"));
        }
        let text = fs::read_to_string(&self.relay_file);
        let text = text.map_err(|error| {
            let file = self.relay_file.display();
            ConfigError(format!("cluster.relay_file: '{file}': {error}"))
        })?;
        // An editor ends the line.
        let url = text.trim_end_matches(['\r', '\n']);
        nats(url).map(Some).map_err(|why| wrong("relay_file", why))
    }
}

fn wrong(key: &str, why: &str) -> ConfigError {
    ConfigError(format!("cluster.{key}: {why}"))
}

fn nats(url: &str) -> Result<(ServerAddr, ConnectOptions), &'static str> {
    const FORM: &str = "it must be nats://USER:PASSWORD@HOST:PORT or tls://...";
    if !url.starts_with("nats://") && !url.starts_with("tls://") {
        return Err(FORM);
    }
    let address: ServerAddr = url.parse().map_err(|_| FORM)?;
    let mut url = address.into_inner();
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host");
    }
    if !["", "/"].contains(&url.path()) || url.query().is_some() || url.fragment().is_some() {
        return Err("nothing may stand behind the port");
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8().map(String::from);
    const NO_UTF8: &str = "what its % signs stand for is no UTF-8";
    let user = decode(url.username()).map_err(|_| NO_UTF8)?;
    let password = url
        .password()
        .map(decode)
        .transpose()
        .map_err(|_| NO_UTF8)?;
    // The client shows addresses in its logs.
    url.set_username("").map_err(|()| FORM)?;
    url.set_password(None).map_err(|()| FORM)?;
    let options = ConnectOptions::new().require_tls(url.scheme() == "tls");
    let options = match password {
        Some(password) => options.user_and_password(user, password),
        None if user.is_empty() => options,
        None => options.token(user),
    };
    let address = ServerAddr::from_url(url).map_err(|_| FORM)?;
    Ok((address, options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_of_over_an_hour_is_named() {
        let cluster = Cluster {
            drain_s: 3601,
            ..Cluster::default()
        };
        let error = cluster.check().unwrap_err().to_string();
        assert_eq!(error, "cluster.drain_s: at most 3600");
    }

    fn cluster(toml: &str) -> Cluster {
        toml::from_str(&format!("drain_s = 1\n{toml}")).unwrap()
    }

    fn relay(url: &str) -> Result<Option<(ServerAddr, ConnectOptions)>, ConfigError> {
        cluster(&format!("relay = '{url}'\nrelay_file = ''")).relay()
    }

    #[test]
    fn it_is_the_databases_own_unless_a_nats_server_is_named() {
        assert!(Cluster::default().relay().unwrap().is_none());
        for (url, host, port, tls) in [
            ("nats://host", "host", 4222, false),
            ("tls://host:1234", "host", 1234, true),
            ("nats://me:s3cret@[::1]:1", "::1", 1, false),
        ] {
            let (address, _) = relay(url).unwrap().unwrap();
            assert_eq!((address.host(), address.port()), (host, port));
            assert_eq!(address.tls_required(), tls);
            assert!(!address.has_user_pass());
            assert_eq!(address.password(), None);
        }
    }

    #[test]
    fn what_names_no_nats_server_is_refused_and_not_repeated() {
        for url in [
            "s3cret",
            "ws://me:s3cret@host",
            "nats://",
            "nats://me:s3cret@",
            "nats://me:s3cret@host:99999",
            "nats://me:s3cret%FF@host",
            "nats://me:s3cret@host/path",
            "nats://me:s3cret@host?x",
        ] {
            let Err(error) = relay(url) else {
                panic!("{url}")
            };
            let error = error.to_string();
            assert!(error.starts_with("cluster.relay: "), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_url_comes_from_a_file_and_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("relay");
        let mut given = Cluster {
            relay_file: file.clone(),
            ..Cluster::default()
        };
        assert!(given.relay().is_err());
        fs::write(&file, "nats://me:s3cret@host\n").unwrap();
        assert!(given.relay().unwrap().is_some());
        given.relay = cluster("relay = 'nats://me:s3cret@host'\nrelay_file = ''").relay;
        assert!(given.relay().is_err());
        let shown = format!("{given:?} {}", toml::to_string(&given).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

//! The URL that messages are posted to.

use std::fmt;

use reqwest::Url;

use super::error::WebhookError;

/// An absolute http or https URL. It may carry credentials, in its user info or its query, which are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Takes an absolute http or https URL without a fragment.
    ///
    /// # Errors
    ///
    /// `url` is not such a URL. The error does not quote it.
    pub fn parse(url: &str) -> Result<Self, WebhookError> {
        let error = |text: &str| Err(WebhookError(text.into()));
        let Ok(url) = Url::parse(url) else {
            return error("it must be a URL such as https://service.example/herald");
        };
        if !["http", "https"].contains(&url.scheme()) {
            return error("it must begin with https:// or http://");
        }
        if url.fragment().is_some() {
            return error("a fragment (#...) is never sent; leave it out");
        }
        Ok(Self(url))
    }

    /// Where to post to.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// The host and, if it is not the scheme's own, the port: what logs say.
    pub(super) fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Whether messages and results cross a network in the clear.
    pub(super) fn is_exposed(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        // An IPv6 address is written in brackets.
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = bare
            .parse::<std::net::IpAddr>()
            .map_or(bare == "localhost", |ip| ip.is_loopback());
        self.0.scheme() == "http" && !loopback
    }
}

impl fmt::Display for Endpoint {
    /// The URL without its credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        write!(f, "{}://", url.scheme())?;
        if !url.username().is_empty() || url.password().is_some() {
            f.write_str("***@")?;
        }
        write!(f, "{}{}", self.authority(), url.path())?;
        if url.query().is_some() {
            f.write_str("?***")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        let endpoint = Endpoint::parse("https://me:pass@service.example:444/in?key=k").unwrap();
        for shown in [endpoint.to_string(), format!("{endpoint:?}")] {
            assert_eq!(shown, "https://***@service.example:444/in?***");
        }
        assert_eq!(endpoint.authority(), "service.example:444");
    }

    #[test]
    fn what_is_no_url_of_the_web_is_refused_and_not_repeated() {
        for url in [
            "",
            "/path",
            "service.example",
            "https://",
            "ftp://service.example/pass",
            "https://me:pass@service.example:99999/",
            "https://service.example/pass#here",
        ] {
            let error = Endpoint::parse(url).unwrap_err().to_string();
            assert!(!error.contains("pass") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn http_is_in_the_clear_beyond_the_loopback() {
        for (url, exposed) in [
            ("http://service.example/", true),
            ("http://192.0.2.1/", true),
            ("http://localhost:8000/", false),
            ("http://127.0.0.1:8000/", false),
            ("http://[::1]:8000/", false),
            ("https://service.example/", false),
        ] {
            assert_eq!(Endpoint::parse(url).unwrap().is_exposed(), exposed, "{url}");
        }
    }
}

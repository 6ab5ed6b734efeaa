//! Where a request comes from and which host it asks for.

use std::{net::IpAddr, sync::Arc};

use poem::{
    Endpoint, Request, Result,
    http::{
        HeaderValue, Version, header,
        uri::{Authority, Uri},
    },
};

use crate::error::{ApiError, Code};

/// Set by browsers, and not by pages (Fetch Metadata).
const SEC_FETCH_SITE: &str = "Sec-Fetch-Site";

/// The page a request comes from, by its `Origin` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// No browser sent it.
    Absent,
    /// A page of this service or an allowed one; `tls` is whether that page came over HTTPS.
    Trusted { tls: bool },
    /// Any other page.
    Foreign,
}

/// The origins whose pages may use the service.
pub(crate) struct Origins {
    tls: bool,
    allowed: Vec<String>,
}

impl Origins {
    /// The own one, by HTTPS if `tls`, and those that are `allowed`.
    pub(crate) fn new(tls: bool, allowed: Vec<String>) -> Self {
        Self { tls, allowed }
    }

    /// Whether browsers reach the server by HTTPS.
    pub(crate) fn tls(&self) -> bool {
        self.tls
    }

    /// Whose page sent `request`.
    pub(crate) fn of(&self, request: &Request) -> Origin {
        of(request, self.tls, &self.allowed)
    }

    /// Refuses a request by a page that is not to be trusted.
    pub(crate) fn check(&self, request: &Request) -> Result<(), ApiError> {
        check(request, self.tls, &self.allowed)
    }

    /// Whether a page of one of the allowed origins, other than the own one, sent `request`.
    pub(crate) fn has_listed(&self, request: &Request) -> bool {
        is_listed(request, &self.allowed)
    }
}

/// Whose page sent `request`: its own origin (scheme, host and port, RFC 6454) and `allowed` are trusted.
fn of(request: &Request, tls: bool, allowed: &[String]) -> Origin {
    match request.headers().get(header::ORIGIN) {
        Some(origin) => trust(request, origin, tls, allowed),
        None => Origin::Absent,
    }
}

/// Refuses a request by a page that is not to be trusted. A browser that does not say which page it was (`Origin`, or
/// else `Referer`) may say that it was another one (`Sec-Fetch-Site`).
fn check(request: &Request, tls: bool, allowed: &[String]) -> Result<(), ApiError> {
    let headers = request.headers();
    let page = headers.get(header::ORIGIN).or(headers.get(header::REFERER));
    let foreign = match page {
        Some(page) => trust(request, page, tls, allowed) == Origin::Foreign,
        None => headers
            .get(SEC_FETCH_SITE)
            .is_some_and(|site| site == "cross-site" || site == "same-site"),
    };
    if foreign {
        return Err(ApiError::new(
            Code::OriginNotAllowed,
            "Pages of this origin may not do this. The server's http.allowed_origins lists those that may.",
        ));
    }
    Ok(())
}

/// Whether a page of one of the `allowed` origins sent `request`.
fn is_listed(request: &Request, allowed: &[String]) -> bool {
    let origin = request.headers().get(header::ORIGIN);
    origin
        .and_then(of_value)
        .is_some_and(|origin| origin.is_in(allowed))
}

/// `page` is an origin or the address of a page.
fn trust(request: &Request, page: &HeaderValue, tls: bool, allowed: &[String]) -> Origin {
    let Some(origin) = of_value(page) else {
        return Origin::Foreign;
    };
    let host = host(request).ok();
    let own = host.and_then(|host| SchemeHostPort::new(tls, &host));
    if own.as_ref() == Some(&origin) || origin.is_in(allowed) {
        Origin::Trusted { tls: origin.tls }
    } else {
        Origin::Foreign
    }
}

/// The host and port that `request` asks for: `Host`, or `:authority` in HTTP/2.
pub(crate) fn host(request: &Request) -> Result<Authority, ApiError> {
    let mut headers = request.headers().get_all(header::HOST).iter();
    let host = match (headers.next(), headers.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse().ok()),
        (None, _) if request.version() > Version::HTTP_11 => {
            request.original_uri().authority().cloned()
        }
        _ => None,
    };
    // A name, an IPv4 address or an IPv6 address in brackets, and a port: it becomes a part of headers.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    host.filter(|host: &Authority| host.as_str().chars().all(is_plain))
        .ok_or_else(|| ApiError::new(Code::BadRequest, "The request needs one Host header."))
}

/// Calls `endpoint` if `request` names one host (RFC 9112, section 3.2). Without TLS, whose certificate names the host, it
/// must also be this machine's own or a listed one: any page can have a name that leads to the loopback, and would be of the
/// own origin then (DNS rebinding).
pub(crate) async fn with_host<E: Endpoint>(
    origins: Arc<Origins>,
    endpoint: Arc<E>,
    request: Request,
) -> Result<E::Output> {
    let host = match request.version() >= Version::HTTP_11 {
        true => Some(host(&request)?),
        // HTTP/1.0 need not name one; no browser speaks it.
        false => host(&request).ok(),
    };
    if !origins.tls && host.is_some_and(|host| !is_meant(&host, &origins.allowed)) {
        return Err(ApiError::new(
            Code::BadRequest,
            "The server is not known by this name. Without TLS it answers to localhost, to addresses of the loopback, and to \
             the hosts of http.allowed_origins.",
        )
        .into());
    }
    endpoint.call(request).await
}

/// Whether `host` is this machine's own for itself, or is listed.
fn is_meant(host: &Authority, allowed: &[String]) -> bool {
    is_loopback(host.host()) || {
        let same = |tls| SchemeHostPort::new(tls, host).is_some_and(|origin| origin.is_in(allowed));
        same(true) || same(false)
    }
}

/// Whether a host, as it stands in an authority, is this machine's own for itself.
fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    name == "localhost"
        || name.ends_with(".localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether the host is a name that others than this machine may know. Strict transport for `localhost` would break
/// every other service on it, and addresses cannot have it (RFC 6797, section 8.1.1).
pub(crate) fn has_public_host(request: &Request) -> bool {
    host(request).is_ok_and(|host| {
        let host = host.host();
        host != "localhost"
            && !host.ends_with(".localhost")
            && !host.starts_with('[')
            && host.parse::<IpAddr>().is_err()
    })
}

#[derive(PartialEq, Eq)]
struct SchemeHostPort {
    tls: bool,
    host: String,
    port: u16,
}

impl SchemeHostPort {
    /// `None` if the port of `authority` is not a number.
    fn new(tls: bool, authority: &Authority) -> Option<Self> {
        let host = authority.host();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str() != host => return None,
            None if tls => 443,
            None => 80,
        };
        Some(Self {
            tls,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    fn is_in(&self, origins: &[String]) -> bool {
        origins
            .iter()
            .any(|origin| parse(origin).as_ref() == Some(self))
    }
}

fn of_value(value: &HeaderValue) -> Option<SchemeHostPort> {
    parse(value.to_str().ok()?)
}

fn parse(origin: &str) -> Option<SchemeHostPort> {
    let uri: Uri = origin.parse().ok()?;
    let tls = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    SchemeHostPort::new(tls, uri.authority()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, origin: Option<&str>) -> Request {
        let builder = Request::builder().header(header::HOST, host);
        match origin {
            Some(origin) => builder.header(header::ORIGIN, origin).finish(),
            None => builder.finish(),
        }
    }

    #[test]
    fn scheme_host_and_port_must_be_the_own_ones() {
        let cases = [
            ("herald.example", "https://herald.example", true),
            ("herald.example:443", "https://herald.example", true),
            ("Herald.example", "https://herald.EXAMPLE", true),
            ("herald.example:8443", "https://herald.example:8443", true),
            ("[::1]:8443", "https://[::1]:8443", true),
            ("herald.example", "http://herald.example", false),
            ("herald.example", "https://herald.example:8443", false),
            ("herald.example", "https://evil.example", false),
            (
                "herald.example",
                "https://herald.example.evil.example",
                false,
            ),
            ("herald.example", "null", false),
            ("herald.example", "https://", false),
            ("herald.example", "https://herald.example:99999", false),
            ("herald.example:", "https://herald.example", false),
        ];
        for (host, origin, same) in cases {
            let expected = if same {
                Origin::Trusted { tls: true }
            } else {
                Origin::Foreign
            };
            assert_eq!(
                of(&request(host, Some(origin)), true, &[]),
                expected,
                "{origin}"
            );
        }
    }

    #[test]
    fn listed_origins_are_trusted_and_programs_send_none() {
        let allowed = ["https://app.example".to_owned()];
        let listed = request("127.0.0.1:8443", Some("https://app.example"));
        assert_eq!(of(&listed, false, &allowed), Origin::Trusted { tls: true });
        assert_eq!(
            of(&request("127.0.0.1:8443", None), false, &[]),
            Origin::Absent
        );
    }

    #[test]
    fn without_an_origin_the_referer_counts_and_then_what_the_browser_says_of_the_site() {
        let page = "https://herald.example/docs?a=b";
        let cases: [(&[(&str, &str)], bool); 12] = [
            (&[], true),
            (&[("origin", "https://herald.example")], true),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "null")], false),
            (
                &[("origin", "https://evil.example"), ("referer", page)],
                false,
            ),
            (&[("referer", page)], true),
            (&[("referer", "https://evil.example/")], false),
            (&[("referer", "about:blank")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
        ];
        for (headers, passes) in cases {
            let mut request = request("herald.example", None);
            for &(name, value) in headers {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            assert_eq!(check(&request, true, &[]).is_ok(), passes, "{headers:?}");
        }
    }

    #[test]
    fn without_tls_only_the_loopback_and_listed_hosts_are_meant() {
        let allowed = ["https://app.example".to_owned()];
        for (host, meant) in [
            ("localhost:8443", true),
            ("LocalHost.", true),
            ("web.localhost", true),
            ("127.0.0.1:8443", true),
            ("127.1.2.3", true),
            ("[::1]:8443", true),
            ("app.example", true),
            ("App.Example:443", true),
            ("app.example:8443", false),
            ("evil.example", false),
            ("evil.example:8443", false),
            ("localhost.evil.example", false),
            ("evil-localhost", false),
            ("127.0.0.1.evil.example", false),
            ("192.168.0.1", false),
            ("[2001:db8::1]", false),
        ] {
            assert_eq!(is_meant(&host.parse().unwrap(), &allowed), meant, "{host}");
        }
    }

    #[test]
    fn only_names_of_other_machines_are_public_hosts() {
        for (host, public) in [
            ("herald.example:8443", true),
            ("localhost:8443", false),
            ("web.localhost", false),
            ("127.0.0.1:8443", false),
            ("[::1]:8443", false),
        ] {
            assert_eq!(has_public_host(&request(host, None)), public, "{host}");
        }
    }
}

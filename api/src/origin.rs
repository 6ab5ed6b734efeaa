//! Where a request comes from and which host it asks for.

use std::net::IpAddr;

use poem::{
    Request,
    http::{
        header,
        uri::{Authority, Uri},
    },
};

use crate::error::{ApiError, Code};

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

/// Whose page sent `request`: its own origin (scheme, host and port, RFC 6454) and `allowed` are trusted.
pub(crate) fn of(request: &Request, tls: bool, allowed: &[String]) -> Origin {
    let Some(value) = request.headers().get(header::ORIGIN) else {
        return Origin::Absent;
    };
    let Some(origin) = value.to_str().ok().and_then(parse) else {
        return Origin::Foreign;
    };
    let own = host(request)
        .ok()
        .map(|host| SchemeHostPort::new(tls, &host));
    let trusted = own.as_ref() == Some(&origin)
        || allowed
            .iter()
            .any(|allowed| parse(allowed).as_ref() == Some(&origin));
    if trusted {
        Origin::Trusted { tls: origin.tls }
    } else {
        Origin::Foreign
    }
}

/// The host and port that `request` asks for: `Host`, or `:authority` in HTTP/2.
pub(crate) fn host(request: &Request) -> Result<Authority, ApiError> {
    let header = request.header(header::HOST);
    let host = match header {
        Some(host) => host.parse().ok(),
        None => request.original_uri().authority().cloned(),
    };
    host.filter(|host: &Authority| !host.as_str().contains('@'))
        .ok_or_else(|| ApiError::new(Code::BadRequest, "The request needs a Host header."))
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
    fn new(tls: bool, authority: &Authority) -> Self {
        Self {
            tls,
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        }
    }
}

fn parse(origin: &str) -> Option<SchemeHostPort> {
    let uri: Uri = origin.parse().ok()?;
    let tls = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    Some(SchemeHostPort::new(tls, uri.authority()?))
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

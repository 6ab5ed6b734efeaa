//! The web app's files, and its one page at every path that is a place in the app.

use bytes::Bytes;
use herald_web::{File, INDEX};
use poem::{
    Endpoint, Request, Response, Result,
    error::{MethodNotAllowedError, NotFoundError},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use crate::middleware::origin;

/// Paths below which the app has no pages.
const OTHERS: [&str; 6] = ["api", "docs", "mqtt", "healthz", "readyz", "assets"];

/// For files with a hash in their name (RFC 8246).
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// For all others: ask each time whether it is still the same.
const ASK: &str = "no-cache";

const PAGE_VARIES: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding");

/// Replaces the app if it was not built.
static NO_APP: File = File {
    path: INDEX,
    content_type: "text/html; charset=utf-8",
    hash: "none",
    immutable: false,
    plain: include_bytes!("../../assets/no_app.html"),
    brotli: None,
    gzip: None,
};

/// Serves every path without a route of its own.
pub(crate) struct App {
    tls: bool,
}

impl App {
    /// `tls` is whether browsers reach the server by HTTPS.
    pub(crate) fn new(tls: bool) -> Self {
        Self { tls }
    }

    /// Same-origin scripts and styles, nothing inline; requests and MQTT to the own host.
    fn policy(&self, request: &Request) -> Option<HeaderValue> {
        // 'self' is not for WebSockets in every browser. Without TLS here, a proxy may add it.
        let socket = match origin::host(request) {
            Ok(host) if self.tls => format!(" wss://{host}"),
            Ok(host) => format!(" ws://{host} wss://{host}"),
            Err(_) => String::new(),
        };
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'{socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::try_from(policy).ok()
    }
}

impl Endpoint for App {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let file = find(&request).ok_or(NotFoundError)?;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(MethodNotAllowedError.into());
        }
        let mut response = respond(file, request.headers());
        if file.path == INDEX
            && let Some(policy) = self.policy(&request)
        {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
            // Requests for anything but a page get an error.
            headers.insert(header::VARY, PAGE_VARIES);
        }
        if request.method() == Method::HEAD {
            response.take_body();
        }
        Ok(response)
    }
}

/// The file that a request is for.
fn find(request: &Request) -> Option<&'static File> {
    let path = request.uri().path();
    let index = || Some(herald_web::find(INDEX).unwrap_or(&NO_APP));
    if path == "/" {
        return index();
    }
    if let Some(file) = herald_web::find(path) {
        return Some(file);
    }
    let first = path.split('/').nth(1).unwrap_or_default();
    let is_place = request.method() == Method::GET || request.method() == Method::HEAD;
    let is_place = is_place && wants_page(request.headers()) && !OTHERS.contains(&first);
    if is_place { index() } else { None }
}

/// Whether a browser goes there, rather than a script that asks for something.
fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter();
    accept
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/html"))
}

fn respond(file: &'static File, asked: &HeaderMap) -> Response {
    let (coding, bytes) = encoded(file, asked);
    let tag = match coding {
        Some(coding) => format!("\"{}-{coding}\"", file.hash),
        None => format!("\"{}\"", file.hash),
    };
    let known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|known| known.to_str().ok())
        .is_some_and(|known| {
            let mut known = known.split(',').map(str::trim);
            known.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
        });
    let mut response = Response::builder()
        .header(header::ETAG, tag)
        .header(header::VARY, "Accept-Encoding")
        .header(
            header::CACHE_CONTROL,
            if file.immutable { FOR_EVER } else { ASK },
        );
    if known {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    if let Some(coding) = coding {
        response = response.header(header::CONTENT_ENCODING, coding);
    }
    response
        .content_type(file.content_type)
        .header(header::CONTENT_LENGTH, bytes.len())
        .body(Bytes::from_static(bytes))
}

/// The shortest variant that the client takes.
fn encoded(file: &'static File, asked: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
    for (coding, variant) in [("br", file.brotli), ("gzip", file.gzip)] {
        if let Some(bytes) = variant
            && takes(asked, coding)
        {
            return (Some(coding), bytes);
        }
    }
    (None, file.plain)
}

/// Whether `Accept-Encoding` names `coding`, else `*`, and not with a weight of zero (RFC 9110, section 12.5.3).
fn takes(asked: &HeaderMap, coding: &str) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter();
    let items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let (mut named, mut others) = (None, None);
    for item in items {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let takes = !parts.any(is_weight_of_zero);
        if name.eq_ignore_ascii_case(coding) {
            named = Some(takes);
        } else if name == "*" {
            others = Some(takes);
        }
    }
    named.or(others).unwrap_or(false)
}

/// `q=0`, however it is written.
fn is_weight_of_zero(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, weight)| {
        let weight = weight.trim().parse::<f32>();
        name.trim().eq_ignore_ascii_case("q") && weight.is_ok_and(|weight| weight <= 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_the_app_its_place_says_how_to_get_it() {
        let answer = respond(&NO_APP, &HeaderMap::new());
        assert_eq!(answer.status(), StatusCode::OK);
        let text = answer.into_body().into_string().await.unwrap();
        assert!(text.contains("Node.js 20.19"), "{text}");
        assert!(text.contains("cargo"), "{text}");
    }
}

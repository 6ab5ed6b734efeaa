//! Cross-origin requests (the CORS protocol of the Fetch standard) for the pages of allowed origins.
//!
//! poem's middleware refuses every request with another `Origin`, and allows all of them if none is listed. Here others
//! get no headers: browsers keep the response from their pages, and refuse what needs a preflight.

use std::sync::Arc;

use poem::{
    Endpoint, IntoResponse, Request, Response, Result,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};

use crate::middleware::origin::Origins;

/// The methods of the API.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
/// The headers that it reads and that pages may not send without being asked.
const HEADERS: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, Idempotency-Key, X-CSRF-Token");
/// The headers that it sends and that pages would not see.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Retry-After, X-Request-Id, X-Rights-In-Force");
/// How long a preflight holds, in seconds: as long as browsers let it.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Calls `endpoint` and lets browsers know whether the page that asks may read the answer. Responds to preflights of listed
/// origins itself.
pub(crate) async fn with_headers<E: Endpoint>(
    origins: Arc<Origins>,
    endpoint: Arc<E>,
    request: Request,
) -> Result<Response> {
    if !request.uri().path().starts_with("/api/") {
        return Ok(endpoint.get_response(request).await);
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let origin = origin.filter(|_| origins.has_listed(&request));
    let mut response = match &origin {
        Some(_) if is_preflight(&request) => preflight(),
        _ => endpoint.get_response(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_name(header::ORIGIN));
    if let Some(origin) = origin {
        add(
            headers,
            [
                (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin),
                (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE),
                (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
            ],
        );
    }
    Ok(response)
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The browser compares it with what the page wants.
fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    add(
        response.headers_mut(),
        [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ],
    );
    response
}

fn add<const N: usize>(headers: &mut HeaderMap, more: [(HeaderName, HeaderValue); N]) {
    headers.extend(more);
}

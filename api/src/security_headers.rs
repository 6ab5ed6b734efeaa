//! Response headers that tell browsers what an answer may do.

use std::sync::Arc;

use poem::{
    Endpoint, Request, Response, Result,
    http::{HeaderName, HeaderValue, header},
};

use crate::origin;

/// For everything that is not a page: may do nothing at all.
const NO_PAGE: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// One year (RFC 6797).
const STRICT_TRANSPORT: &str = "max-age=31536000";

/// Calls `endpoint` and adds the headers; those it set itself stay.
pub(crate) async fn with_headers<E: Endpoint>(
    tls: bool,
    endpoint: Arc<E>,
    request: Request,
) -> Result<Response> {
    let is_api = request.uri().path().starts_with("/api/");
    let strict_transport = tls && origin::has_public_host(&request);
    let mut response = endpoint.get_response(request).await;
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::CONTENT_SECURITY_POLICY, NO_PAGE);
    add(header::REFERRER_POLICY, "no-referrer");
    if is_api {
        add(header::CACHE_CONTROL, "no-store");
    }
    if strict_transport {
        add(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    Ok(response)
}

//! Response headers that limit what browsers do with a response.

use std::sync::Arc;

use poem::{
    Endpoint, Request, Response, Result,
    http::{HeaderName, HeaderValue, header},
};

use crate::middleware::origin;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// For everything that is not a page: may do nothing at all.
const NO_PAGE: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What no page of this service uses.
const NO_FEATURES: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), \
                           encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), \
                           magnetometer=(), microphone=(), midi=(), payment=(), \
                           screen-wake-lock=(), usb=(), xr-spatial-tracking=()";
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
    // What is missing now, such as a file of the app's next version, may be there soon.
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::CONTENT_SECURITY_POLICY, NO_PAGE);
    // For browsers that do not know frame-ancestors.
    add(header::X_FRAME_OPTIONS, "DENY");
    // To no-one else; the own pages say where they are when they change something.
    add(header::REFERRER_POLICY, "same-origin");
    add(OPENER_POLICY, "same-origin");
    // Requests of allowed origins are CORS requests, to which it does not apply.
    add(RESOURCE_POLICY, "same-origin");
    add(PERMISSIONS_POLICY, NO_FEATURES);
    if is_api || is_error {
        add(header::CACHE_CONTROL, "no-store");
    }
    if strict_transport {
        add(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    Ok(response)
}

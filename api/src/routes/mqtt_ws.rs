//! `/mqtt`: MQTT over WebSocket (MQTT 5, section 6).

use std::{sync::Arc, time::Duration};

use poem::{
    Request, Response, handler,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
            SEC_WEBSOCKET_VERSION, UPGRADE,
        },
    },
    web::Data,
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    background::Background,
    error::{ApiError, Code},
    limits::{address, requests::Requests},
    middleware::{
        from_head::OnSignIn,
        origin::{Origin, Origins},
    },
    options::MqttHandler,
    websocket::MqttWebSocket,
};

/// After which an MQTT session has a user, or has ended.
const HANDSHAKE: Duration = Duration::from_secs(11);

const SUBPROTOCOL: &str = "mqtt";

/// What a connection to `/mqtt` needs.
pub(crate) struct MqttSocket {
    pub(crate) requests: Arc<Requests>,
    pub(crate) origins: Arc<Origins>,
    /// Runs the MQTT sessions.
    pub(crate) handler: MqttHandler,
    pub(crate) background: Background,
}

#[handler]
pub(crate) async fn upgrade(
    request: &Request,
    socket: Data<&Arc<MqttSocket>>,
) -> Result<Response, ApiError> {
    socket.requests.count_address(request)?;
    if socket.origins.of(request) == Origin::Foreign {
        return Err(ApiError::new(
            Code::OriginNotAllowed,
            "Pages of this origin may not connect. The server's http.allowed_origins lists those that may.",
        ));
    }
    let no_handshake = || ApiError::new(Code::BadRequest, "This path needs a WebSocket handshake.");
    let key = key(request).ok_or_else(no_handshake)?;
    if !lists(request.headers(), &SEC_WEBSOCKET_PROTOCOL, |offer| {
        offer == SUBPROTOCOL
    }) {
        return Err(ApiError::new(
            Code::BadRequest,
            "The WebSocket handshake needs Sec-WebSocket-Protocol: mqtt.",
        ));
    }
    let upgraded = request.take_upgrade().map_err(|_| no_handshake())?;
    let accept = derive_accept_key(key.as_bytes());
    let address = address::of(request);
    let handler = Arc::clone(&socket.handler);
    let signed = request.data::<OnSignIn>().cloned();
    // Counted from the handshake on; the handler counts the session as well.
    socket.background.spawn(async move {
        if let Ok(connection) = upgraded.await {
            let socket = MqttWebSocket::new(connection).await;
            signed_in(handler(Box::new(socket), address), signed).await;
        }
    });
    Ok(Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .finish())
}

/// Runs `session`, and notifies that somebody is signed in once it has lasted for longer than it may without.
async fn signed_in(session: impl Future<Output = ()>, connection: Option<OnSignIn>) {
    let mut session = std::pin::pin!(session);
    if timeout(HANDSHAKE, session.as_mut()).await.is_ok() {
        return;
    }
    if let Some(connection) = connection {
        connection.notify();
    }
    session.await;
}

/// The key of a handshake (RFC 6455 section 4.2.1); `None` if the request is not a handshake.
fn key(request: &Request) -> Option<&HeaderValue> {
    let headers = request.headers();
    let has = |name, token: &str| lists(headers, name, |given| given.eq_ignore_ascii_case(token));
    let is_handshake = request.method() == Method::GET
        && has(&CONNECTION, "upgrade")
        && has(&UPGRADE, "websocket")
        && headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_some_and(|v| v == "13");
    headers.get(SEC_WEBSOCKET_KEY).filter(|_| is_handshake)
}

/// Whether the list of a header, of which each line is a part (RFC 9110 section 5.3), has a member that `is_it`.
fn lists(headers: &HeaderMap, name: &HeaderName, is_it: impl Fn(&str) -> bool) -> bool {
    let lines = headers.get_all(name).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|member| is_it(member.trim()))
}

//! `/mqtt`: MQTT over WebSocket (MQTT 5, section 6).

use std::sync::Arc;

use poem::{
    IntoResponse, Request, Response, handler,
    http::header::SEC_WEBSOCKET_PROTOCOL,
    web::{
        Data,
        websocket::{WebSocket, WebSocketConfig, WebSocketStream},
    },
};

use crate::{
    address,
    error::{ApiError, Code},
    mqtt_stream::{MAX_CHUNK, MqttWebSocket},
    origin::{self, Origin},
    state::State,
};

const SUBPROTOCOL: &str = "mqtt";
/// What a connection reads at once and may leave unsent, in bytes. tungstenite's default is 128 KiB for each.
const BUFFER: usize = 1024;

#[handler]
pub(crate) async fn upgrade(
    request: &Request,
    state: Data<&Arc<State>>,
    socket: poem::Result<WebSocket>,
) -> Result<Response, ApiError> {
    let options = &state.options;
    state.requests.count_address(request)?;
    if origin::of(request, options.tls, &options.allowed_origins) == Origin::Foreign {
        return Err(ApiError::new(
            Code::OriginNotAllowed,
            "Pages of this origin may not connect. The server's http.allowed_origins lists those that may.",
        ));
    }
    let socket = socket
        .map_err(|_| ApiError::new(Code::BadRequest, "This path needs a WebSocket handshake."))?;
    // poem would upgrade without it.
    if !offers_mqtt(request) {
        return Err(ApiError::new(
            Code::BadRequest,
            "The WebSocket handshake needs Sec-WebSocket-Protocol: mqtt.",
        ));
    }
    let address = address::of(request);
    let handler = Arc::clone(&options.mqtt);
    Ok(socket
        .config(config(options.packet_bytes))
        .protocols([SUBPROTOCOL])
        .on_upgrade(move |socket: WebSocketStream| {
            handler(Box::new(MqttWebSocket::new(socket)), address)
        })
        .into_response())
}

fn offers_mqtt(request: &Request) -> bool {
    request
        .header(SEC_WEBSOCKET_PROTOCOL)
        .is_some_and(|offers| offers.split(',').any(|offer| offer.trim() == SUBPROTOCOL))
}

fn config(packet_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(packet_bytes))
        .max_frame_size(Some(packet_bytes))
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        // Room for one chunk with its header beyond the buffer, and for answers to pings.
        .max_write_buffer_size(BUFFER + 2 * MAX_CHUNK)
}

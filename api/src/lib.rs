//! The HTTP side of Herald: the REST API with its documentation page, and the WebSocket endpoint for MQTT.
//!
//! [`routes`] makes one endpoint of it all, for any poem server. [`Accounts`] is the part that knows passwords and
//! tokens; MQTT and the command line use it too.

mod accounts;
mod audit;
mod background;
mod description;
mod error;
mod fields;
mod limits;
mod live_connections;
mod middleware;
mod operations;
mod options;
mod progress;
mod queue;
mod rights;
mod routes;
mod sends;
mod views;
mod websocket;

use std::sync::Arc;

use herald_store::Store;
use poem::{
    Endpoint, EndpointExt, Response, Route, get,
    middleware::{CatchPanic, CookieJarManager, RequestId},
};
use poem_openapi::{ExtraHeader, OpenApiService};

pub use accounts::{AccountError, Accounts, IssuedToken, TOKEN_PREFIX, TokenRequest, TokenScope};
pub use audit::{Audit, AuditAction, Event, failed_sign_in, without_tokens};
pub use limits::address::network;
pub use limits::budget::Shares;
pub use live_connections::{LiveConnection, LiveConnections, Protocol, Transport};
pub use middleware::from_head::{AnswerRoom, OnSignIn, Room};
pub use options::{
    ApiLimits, ApiOptions, AwaitRights, ForgetUser, InForce, MqttHandler, MqttStream, Readiness,
};
pub use progress::ReportProgress;
pub use queue::Throughput;
pub use sends::{Patience, SendError, SendLimits, Sends};

use background::Background;
use fields::RequestIdText;
use limits::budget::Budget;
use limits::list_reads::ListReads;
use limits::requests::Requests;
use middleware::body_limit::Bodies;
use middleware::caller::Authenticator;
use middleware::from_head::Heads;
use middleware::origin::Origins;
use middleware::strict::Described;
use operations::{Operations, Shared, operations};
use routes::mqtt_ws::MqttSocket;

/// Everything under `/`: the web app, the API at `/api/v1`, its description at `/api/openapi.json` and `/docs`, MQTT over WebSocket
/// at `/mqtt`, `/healthz` and `/readyz`.
///
/// Errors are answered as `application/problem+json` (RFC 9457). The endpoint needs each request's peer address as
/// poem's own listeners give it: sign-ins and requests are counted by it.
pub fn routes(
    store: Store,
    accounts: Arc<Accounts>,
    sends: Arc<Sends>,
    options: ApiOptions,
) -> impl Endpoint<Output = Response> + 'static {
    let message_bytes = sends.limits().message_bytes;
    let tls = options.tls;
    let shared = Shared {
        store,
        accounts,
        sends,
        requests: Arc::new(Requests::new(&options)),
        origins: Arc::new(Origins::new(tls, options.allowed_origins.clone())),
        background: Background::new(options.background.clone()),
    };
    let ready = routes::health::Ready::new(
        shared.store.clone(),
        options.ready.clone(),
        shared.background.clone(),
    );
    let socket = MqttSocket {
        requests: Arc::clone(&shared.requests),
        origins: Arc::clone(&shared.origins),
        handler: options.mqtt.clone(),
        background: shared.background.clone(),
    };
    let api = OpenApiService::new(
        operations(&shared, &options),
        "Herald",
        env!("CARGO_PKG_VERSION"),
    )
    .description(include_str!("../assets/description.md"))
    .server("/api/v1")
    .extra_response_header::<Option<RequestIdText>, _>(
        ExtraHeader::new("X-Request-Id").description("Names the request in the server's log."),
    );
    let description = description::of(&api, message_bytes);
    let docs = routes::docs_page::DocsPage::of(&api.swagger_ui_html());
    let (hosts, origins) = (Arc::clone(&shared.origins), Arc::clone(&shared.origins));
    Route::new()
        .at(
            "/api/openapi.json",
            get(routes::docs_page::description(format!("{description:#}"))),
        )
        .nest(
            "/api/v1",
            checked(
                api,
                Described::by(&description, message_bytes),
                &shared,
                &options,
            ),
        )
        .nest("/docs", docs.routes())
        .at(
            "/mqtt",
            get(routes::mqtt_ws::upgrade).data(Arc::new(socket)),
        )
        .at("/healthz", get(routes::health::alive))
        .at("/readyz", get(routes::health::ready).data(Arc::new(ready)))
        .at("/*path", routes::app::App::new(tls))
        .data(options.audit)
        .around(move |endpoint, request| {
            middleware::origin::with_host(Arc::clone(&hosts), endpoint, request)
        })
        .with(CatchPanic::new())
        .around(middleware::problems::as_problems)
        // The compiler would follow a type of all these layers no further.
        .boxed()
        .around(move |endpoint, request| {
            middleware::cors::with_headers(Arc::clone(&origins), endpoint, request)
        })
        .around(move |endpoint, request| {
            middleware::security_headers::with_headers(tls, endpoint, request)
        })
        .with(RequestId::default())
}

/// The operations behind what each request of theirs has to pass: the last layer is the first.
fn checked(
    api: OpenApiService<Operations, ()>,
    described: Described,
    shared: &Shared,
    options: &ApiOptions,
) -> impl Endpoint<Output = Response> + use<> {
    // A JSON string may write each byte as \u00XX.
    let message_bytes = shared.sends.limits().message_bytes;
    let body_limit = message_bytes.saturating_mul(6).saturating_add(1024);
    let bodies = Arc::new(Bodies::new(options.limits.body_bytes));
    // A file is not read any more once nobody waits.
    let reads_on = (!shared.store.is_exclusive()).then(|| shared.background.clone());
    let heads = Arc::new(Heads {
        authenticator: Authenticator {
            store: shared.store.clone(),
            accounts: Arc::clone(&shared.accounts),
            requests: Arc::clone(&shared.requests),
            audit: Arc::clone(&options.audit),
        },
        answers: Budget::new(options.limits.answer_bytes),
        list_reads: ListReads::new(options.limits.list_reads, reads_on),
    });
    let described = Arc::new(described);
    let (requests, origins) = (Arc::clone(&shared.requests), Arc::clone(&shared.origins));
    api.around(move |endpoint, request| {
        middleware::body_limit::with_limit(body_limit, Arc::clone(&bodies), endpoint, request)
    })
    .around(move |endpoint, request| {
        middleware::from_head::known(Arc::clone(&heads), endpoint, request)
    })
    // A cookie may say who sends a request.
    .with(CookieJarManager::new())
    .around(move |endpoint, request| {
        middleware::strict::as_described(Arc::clone(&described), endpoint, request)
    })
    .around(middleware::unread::dropped)
    .around(move |endpoint, request| {
        let (requests, origins) = (Arc::clone(&requests), Arc::clone(&origins));
        middleware::admission::admitted(requests, origins, endpoint, request)
    })
}

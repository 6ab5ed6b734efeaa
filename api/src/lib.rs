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
mod options;
mod progress;
mod queue;
mod routes;
mod sends;
mod views;

use std::sync::Arc;

use herald_store::Store;
use poem::{
    Endpoint, EndpointExt, Response, Route, get,
    middleware::{CatchPanic, CookieJarManager, RequestId},
};
use poem_openapi::OpenApiService;

pub use accounts::{AccountError, Accounts, IssuedToken, TOKEN_PREFIX, TokenRequest, TokenScope};
pub use audit::{Audit, AuditAction, Event, failed_sign_in, without_tokens};
pub use limits::address::network;
pub use limits::budget::Shares;
pub use live_connections::{LiveConnection, LiveConnections, Protocol, Transport};
pub use middleware::from_head::{AnswerRoom, OnSignIn, Room};
pub use options::{ApiLimits, ApiOptions, ForgetUser, MqttHandler, MqttStream, Readiness};
pub use progress::ReportProgress;
pub use queue::Throughput;
pub use sends::{Patience, SendError, SendLimits, Sends};

use background::Background;
use limits::budget::Budget;
use limits::list_reads::ListReads;
use limits::requests::Requests;
use middleware::body_limit::Bodies;
use middleware::caller::Authenticator;
use middleware::from_head::Heads;
use middleware::origin::Origins;
use routes::mqtt_ws::MqttSocket;

/// All operations of the API.
type Operations = (
    routes::auth::AuthApi,
    routes::registration::RegistrationApi,
    routes::mqtt_access::MqttAccessApi,
    routes::sessions::SessionsApi,
    routes::tokens::TokensApi,
    routes::messages::MessagesApi,
    routes::notifications::NotificationsApi,
    routes::queue::QueueApi,
    routes::admin_messages::AdminMessagesApi,
    routes::delay::DelayApi,
    routes::user_delay::UserDelayApi,
    routes::users::UsersApi,
    routes::rules::RulesApi,
    routes::connections::ConnectionsApi,
    routes::audit_api::AuditApi,
);

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
    // A JSON string may write each byte as \u00XX.
    let message_bytes = sends.limits().message_bytes;
    let body_limit = message_bytes.saturating_mul(6).saturating_add(1024);
    let ApiOptions { tls, limits, .. } = options;
    let origins = Arc::new(Origins::new(tls, options.allowed_origins.clone()));
    let requests = Arc::new(Requests::new(&options));
    let background = Background::new(options.background);
    let ready = routes::health::Ready::new(store.clone(), options.ready, background.clone());
    let socket = MqttSocket {
        requests: Arc::clone(&requests),
        origins: Arc::clone(&origins),
        handler: options.mqtt,
        message_bytes: options.packet_bytes,
        background: background.clone(),
    };
    let heads = Arc::new(Heads {
        authenticator: Authenticator {
            store: store.clone(),
            accounts: Arc::clone(&accounts),
            requests: Arc::clone(&requests),
            audit: Arc::clone(&options.audit),
        },
        answers: Budget::new(limits.answer_bytes),
        list_reads: ListReads::new(limits.list_reads),
    });
    let bodies = Arc::new(Bodies::new(limits.body_bytes));
    let operations: Operations = (
        routes::auth::AuthApi {
            store: store.clone(),
            accounts: Arc::clone(&accounts),
            requests: Arc::clone(&requests),
            audit: Arc::clone(&options.audit),
        },
        routes::registration::RegistrationApi {
            accounts: Arc::clone(&accounts),
            requests: Arc::clone(&requests),
            open: options.registration,
        },
        routes::mqtt_access::MqttAccessApi {
            store: store.clone(),
            accounts: Arc::clone(&accounts),
            requests: Arc::clone(&requests),
            origins: Arc::clone(&origins),
        },
        routes::sessions::SessionsApi {
            store: store.clone(),
            requests: Arc::clone(&requests),
        },
        routes::tokens::TokensApi {
            store: store.clone(),
            accounts: Arc::clone(&accounts),
            requests: Arc::clone(&requests),
        },
        routes::messages::MessagesApi {
            store: store.clone(),
            sends,
            progress: Arc::clone(&options.progress),
            background: background.clone(),
        },
        routes::notifications::NotificationsApi {
            store: store.clone(),
            connections: Arc::clone(&options.connections),
        },
        routes::queue::QueueApi {
            store: store.clone(),
            throughput: options.throughput,
        },
        routes::admin_messages::AdminMessagesApi {
            store: store.clone(),
            progress: Arc::clone(&options.progress),
        },
        routes::delay::DelayApi {
            store: store.clone(),
            progress: Arc::clone(&options.progress),
            background: background.clone(),
        },
        routes::user_delay::UserDelayApi {
            store: store.clone(),
            progress: options.progress,
            background: background.clone(),
        },
        routes::users::UsersApi {
            store: store.clone(),
            accounts,
            forget_user: options.forget_user,
            background,
        },
        routes::rules::RulesApi {
            store: store.clone(),
        },
        routes::connections::ConnectionsApi {
            store: store.clone(),
            connections: options.connections,
        },
        routes::audit_api::AuditApi { store },
    );
    let api = OpenApiService::new(operations, "Herald", env!("CARGO_PKG_VERSION"))
        .description(include_str!("../assets/description.md"))
        .server("/api/v1");
    let description = description::of(&api, message_bytes);
    let described = Arc::new(middleware::strict::Described::by(
        &description,
        message_bytes,
    ));
    let docs = routes::docs_page::DocsPage::of(&api.swagger_ui_html());

    let (admitting, hosts) = (Arc::clone(&origins), Arc::clone(&origins));
    Route::new()
        .at(
            "/api/openapi.json",
            get(routes::docs_page::description(format!("{description:#}"))),
        )
        .nest(
            "/api/v1",
            api.around(move |endpoint, request| {
                middleware::body_limit::with_limit(
                    body_limit,
                    Arc::clone(&bodies),
                    endpoint,
                    request,
                )
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
                let (requests, origins) = (Arc::clone(&requests), Arc::clone(&admitting));
                middleware::admission::admitted(requests, origins, endpoint, request)
            }),
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

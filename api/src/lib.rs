//! The HTTP side of Herald: the REST API with its documentation page, and the WebSocket endpoint for MQTT.
//!
//! [`routes`] makes one endpoint of it all, for any poem server. [`Accounts`] is the part that knows passwords and
//! tokens; MQTT and the command line use it too.

mod access_check;
mod accounts;
mod address;
mod admin_messages;
mod admission;
mod app;
mod audit;
mod audit_api;
mod auth;
mod background;
mod body_limit;
mod budget;
mod caller;
mod connections;
mod cors;
mod delay;
mod description;
mod device;
mod docs_page;
mod error;
mod failures;
mod from_head;
mod gate;
mod health;
mod json_shape;
mod lines;
mod list_reads;
mod live;
mod messages;
mod mqtt_stream;
mod mqtt_ws;
mod notifications;
mod options;
mod origin;
mod page;
mod password_memory;
mod passwords;
mod problems;
mod progress;
mod queue;
mod rate;
mod requester;
mod requests;
mod rule;
mod rules;
mod secret;
mod security_headers;
mod sends;
mod session;
mod sessions;
mod strict;
mod tags;
mod text;
mod throttle;
mod tokens;
mod unread;
mod user;
mod user_delay;
mod users;

use std::sync::Arc;

use herald_store::Store;
use poem::{
    Endpoint, EndpointExt, Response, Route, get,
    middleware::{CatchPanic, CookieJarManager, RequestId},
};
use poem_openapi::OpenApiService;

pub use accounts::{AccountError, Accounts, IssuedToken, Scope, TOKEN_PREFIX, TokenRequest};
pub use address::network;
pub use audit::{Audit, AuditAction, Event, failed_sign_in, without_tokens};
pub use budget::Shares;
pub use from_head::{AnswerRoom, OnSignIn, Room};
pub use live::{LiveConnection, LiveConnections, LiveQuery, Protocol, Transport};
pub use options::{ApiLimits, ApiOptions, ForgetUser, MqttHandler, MqttStream, Readiness};
pub use progress::TellProgress;
pub use queue::Throughput;
pub use sends::{Patience, SendError, SendLimits, Sends};

use background::Background;
use body_limit::Bodies;
use budget::Budget;
use caller::Authenticator;
use from_head::Heads;
use list_reads::ListReads;
use mqtt_ws::MqttSocket;
use origin::Origins;
use requests::Requests;

/// All operations of the API.
type Operations = (
    auth::AuthApi,
    sessions::SessionsApi,
    tokens::TokensApi,
    messages::MessagesApi,
    notifications::NotificationsApi,
    queue::QueueApi,
    admin_messages::AdminMessagesApi,
    delay::DelayApi,
    user_delay::UserDelayApi,
    users::UsersApi,
    rules::RulesApi,
    connections::ConnectionsApi,
    audit_api::AuditApi,
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
    let ready = health::Ready::new(store.clone(), options.ready, background.clone());
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
        auth::AuthApi {
            store: store.clone(),
            accounts: Arc::clone(&accounts),
            requests: Arc::clone(&requests),
            audit: Arc::clone(&options.audit),
            origins: Arc::clone(&origins),
            registration: options.registration,
        },
        sessions::SessionsApi {
            store: store.clone(),
            requests: Arc::clone(&requests),
        },
        tokens::TokensApi {
            store: store.clone(),
            accounts: Arc::clone(&accounts),
            requests: Arc::clone(&requests),
        },
        messages::MessagesApi {
            store: store.clone(),
            sends,
            progress: Arc::clone(&options.progress),
            background: background.clone(),
        },
        notifications::NotificationsApi {
            store: store.clone(),
            connections: Arc::clone(&options.connections),
        },
        queue::QueueApi {
            store: store.clone(),
            counts: Arc::default(),
            throughput: options.throughput,
        },
        admin_messages::AdminMessagesApi {
            store: store.clone(),
            progress: Arc::clone(&options.progress),
        },
        delay::DelayApi {
            store: store.clone(),
            progress: Arc::clone(&options.progress),
            background: background.clone(),
        },
        user_delay::UserDelayApi {
            store: store.clone(),
            progress: options.progress,
            background: background.clone(),
        },
        users::UsersApi {
            store: store.clone(),
            accounts,
            forget_user: options.forget_user,
            background,
        },
        rules::RulesApi {
            store: store.clone(),
        },
        connections::ConnectionsApi {
            store: store.clone(),
            connections: options.connections,
        },
        audit_api::AuditApi { store },
    );
    let api = OpenApiService::new(operations, "Herald", env!("CARGO_PKG_VERSION"))
        .description(include_str!("../assets/description.md"))
        .server("/api/v1");
    let description = description::of(&api, message_bytes);
    let described = Arc::new(strict::Described::by(&description, message_bytes));
    let docs = docs_page::DocsPage::of(&api.swagger_ui_html());

    let (admitting, hosts) = (Arc::clone(&origins), Arc::clone(&origins));
    Route::new()
        .at(
            "/api/openapi.json",
            get(docs_page::description(format!("{description:#}"))),
        )
        .nest(
            "/api/v1",
            api.around(move |endpoint, request| {
                body_limit::with_limit(body_limit, Arc::clone(&bodies), endpoint, request)
            })
            .around(move |endpoint, request| {
                from_head::known(Arc::clone(&heads), endpoint, request)
            })
            // Who sends a request may be told by a cookie.
            .with(CookieJarManager::new())
            .around(move |endpoint, request| {
                strict::as_described(Arc::clone(&described), endpoint, request)
            })
            .around(unread::dropped)
            .around(move |endpoint, request| {
                let (requests, origins) = (Arc::clone(&requests), Arc::clone(&admitting));
                admission::admitted(requests, origins, endpoint, request)
            }),
        )
        .nest("/docs", docs.routes())
        .at("/mqtt", get(mqtt_ws::upgrade).data(Arc::new(socket)))
        .at("/healthz", get(health::alive))
        .at("/readyz", get(health::ready).data(Arc::new(ready)))
        .at("/*path", app::App::new(tls))
        .data(options.audit)
        .around(move |endpoint, request| origin::with_host(Arc::clone(&hosts), endpoint, request))
        .with(CatchPanic::new())
        .around(problems::as_problems)
        // The compiler would follow a type of all these layers no further.
        .boxed()
        .around(move |endpoint, request| {
            cors::with_headers(Arc::clone(&origins), endpoint, request)
        })
        .around(move |endpoint, request| security_headers::with_headers(tls, endpoint, request))
        .with(RequestId::default())
}

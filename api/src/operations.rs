//! The operations of the API, with what each of them needs.

use std::sync::Arc;

use herald_store::Store;

use crate::{
    Accounts, ApiOptions, Sends,
    background::Background,
    limits::requests::Requests,
    middleware::origin::Origins,
    rights::Rights,
    routes::{
        admin_messages::AdminMessagesApi, audit_api::AuditApi, auth::AuthApi,
        connections::ConnectionsApi, delay::DelayApi, messages::MessagesApi,
        mqtt_access::MqttAccessApi, notifications::NotificationsApi, queue::QueueApi,
        registration::RegistrationApi, rules::RulesApi, sessions::SessionsApi, tokens::TokensApi,
        user_delay::UserDelayApi, users::UsersApi,
    },
};

/// What several operations use.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) sends: Arc<Sends>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) origins: Arc<Origins>,
    pub(crate) background: Background,
}

/// All operations of the API.
pub(crate) type Operations = (
    AuthApi,
    RegistrationApi,
    MqttAccessApi,
    SessionsApi,
    TokensApi,
    MessagesApi,
    NotificationsApi,
    QueueApi,
    AdminMessagesApi,
    DelayApi,
    UserDelayApi,
    UsersApi,
    RulesApi,
    ConnectionsApi,
    AuditApi,
);

pub(crate) fn operations(shared: &Shared, options: &ApiOptions) -> Operations {
    let store = || shared.store.clone();
    let accounts = || Arc::clone(&shared.accounts);
    let requests = || Arc::clone(&shared.requests);
    let background = || shared.background.clone();
    let progress = || Arc::clone(&options.progress);
    let rights = || Rights::new(Arc::clone(&options.await_rights));
    let connections = || Arc::clone(&options.connections);
    (
        AuthApi {
            store: store(),
            accounts: accounts(),
            requests: requests(),
            audit: Arc::clone(&options.audit),
            rights: rights(),
        },
        RegistrationApi {
            accounts: accounts(),
            requests: requests(),
            open: options.registration,
        },
        MqttAccessApi {
            store: store(),
            accounts: accounts(),
            requests: requests(),
            origins: Arc::clone(&shared.origins),
        },
        SessionsApi {
            store: store(),
            requests: requests(),
            rights: rights(),
        },
        TokensApi {
            store: store(),
            accounts: accounts(),
            requests: requests(),
            rights: rights(),
        },
        MessagesApi {
            store: store(),
            sends: Arc::clone(&shared.sends),
            progress: progress(),
            background: background(),
        },
        NotificationsApi {
            store: store(),
            connections: connections(),
        },
        QueueApi {
            store: store(),
            throughput: Arc::clone(&options.throughput),
        },
        AdminMessagesApi {
            store: store(),
            progress: progress(),
        },
        DelayApi {
            store: store(),
            progress: progress(),
            background: background(),
        },
        UserDelayApi {
            store: store(),
            progress: progress(),
            background: background(),
        },
        UsersApi {
            store: store(),
            accounts: accounts(),
            rights: rights(),
            forget_user: Arc::clone(&options.forget_user),
            background: background(),
        },
        RulesApi {
            store: store(),
            rights: rights(),
        },
        ConnectionsApi {
            store: store(),
            connections: connections(),
        },
        AuditApi { store: store() },
    )
}

//! A broker whose hosts answer from memory, at once.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::{Actions, Effect, FilterTemplate, Policy, Role, Rule, Subject, Username};
use herald_broker::{
    Authenticate, Broker, Credential, DeniedAction, Host, HostError, Identity, Inbox, Intake,
    Limits, Login, LoginRefusal, Observe, Origin, Retain, RetainedChange, RetainedMessage,
    Transport,
};

use super::inbox::{Inboxes, Log};

/// Everyone's password.
pub(crate) const PASSWORD: &str = "secret";

/// The users there are: `root` administers, and [`BRIEF`] logs in by a token.
const USERS: [&str; 4] = ["alice", "bob", "root", BRIEF];

/// The user whose token expires [soon](TOKEN) after the login.
pub(crate) const BRIEF: &str = "brief";

/// How long the token is valid.
pub(crate) const TOKEN: Duration = Duration::from_secs(1);

/// Where all connections come from.
pub(crate) const PEER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1883);

/// The same, and over what.
pub(crate) const ORIGIN: Origin = Origin {
    peer: PEER,
    transport: Transport::Tcp,
};

/// The number of the newest notification in every inbox.
pub(crate) const NEWEST: i64 = 6;

/// All hosts of a broker.
pub(crate) struct Hosts;

impl Observe for Hosts {
    fn denied(&self, _: DeniedAction<'_>) {}
}

impl Authenticate for Hosts {
    fn authenticate(&self, login: Login) -> BoxFuture<'static, Result<Identity, LoginRefusal>> {
        let known = USERS.contains(&login.username.as_str());
        let answer = if known && login.password == PASSWORD.as_bytes() {
            Ok(Identity {
                user_id: login.username.as_str().into(),
                username: Username::parse(&login.username).expect("the names of users are valid"),
                role: if login.username == "root" {
                    Role::Admin
                } else {
                    Role::User
                },
                credential: if login.username == BRIEF {
                    Credential::Token {
                        id: "token".into(),
                        expires_at: Some(SystemTime::now() + TOKEN),
                    }
                } else {
                    Credential::Password
                },
            })
        } else {
            Err(LoginRefusal::BadCredentials)
        };
        async { answer }.boxed()
    }
}

impl Log for Hosts {
    fn newest(&self) -> i64 {
        NEWEST
    }
}

impl Retain for Hosts {
    fn load(&self) -> BoxFuture<'static, Result<Vec<RetainedMessage>, HostError>> {
        async { Ok(vec![]) }.boxed()
    }

    fn save(&self, _: Vec<RetainedChange>) -> BoxFuture<'static, Result<(), HostError>> {
        async { Ok(()) }.boxed()
    }
}

/// Everyone has an inbox, a room and a notice board; an administrator announces and reads all. `shared`: what they may do
/// on shared topics, `last` apart, where everyone may do all.
pub(crate) fn policy(shared: Actions) -> Policy {
    let (everyone, admin) = (Subject::Everyone, Subject::Role(Role::Admin));
    let rules = [
        ("inbox", &everyone, Actions::Subscribe, "users/%u/#"),
        ("send", &everyone, Actions::Publish, "users/%u/messages"),
        ("room", &everyone, shared, "rooms/%u/#"),
        ("notice", &everyone, shared, "notice"),
        ("last", &everyone, Actions::Both, "last"),
        ("broadcast", &everyone, Actions::Subscribe, "broadcast/#"),
        ("announce", &admin, shared, "broadcast/#"),
        ("debug", &admin, Actions::Subscribe, "#"),
        ("sys", &admin, Actions::Subscribe, "$SYS/herald/#"),
    ];
    let rules = rules.map(|(id, subject, actions, filter)| allow(id, subject, actions, filter));
    Policy::new(rules.into())
}

/// A rule that lets `subject` do `actions` where `filter` matches.
pub(crate) fn allow(id: &str, subject: &Subject, actions: Actions, filter: &str) -> Rule {
    Rule {
        id: id.into(),
        subject: subject.clone(),
        actions,
        effect: Effect::Allow,
        filter: FilterTemplate::parse(filter).expect("these filters are valid"),
    }
}

/// Starts a broker that keeps clients within `limits`, lets them do `shared` on shared topics, and hands what they send to
/// `intake`.
pub(crate) async fn broker(limits: Limits, shared: Actions, intake: Arc<dyn Intake>) -> Broker {
    let inbox = Arc::new(Inboxes(Arc::new(Hosts)));
    broker_with(limits, shared, intake, inbox).await
}

/// [`Hosts`] for all but what takes messages.
pub(crate) fn host(intake: Arc<dyn Intake>) -> Host {
    let hosts = Arc::new(Hosts);
    Host {
        authenticate: hosts.clone(),
        inbox: Arc::new(Inboxes(hosts.clone())),
        intake,
        retain: hosts.clone(),
        observe: hosts,
    }
}

/// The same as [`broker`] with other inboxes.
pub(crate) async fn broker_with(
    limits: Limits,
    shared: Actions,
    intake: Arc<dyn Intake>,
    inbox: Arc<dyn Inbox>,
) -> Broker {
    let host = Host {
        inbox,
        ..host(intake)
    };
    Broker::start(limits, policy(shared), host)
        .await
        .expect("the router of shared topics starts")
}

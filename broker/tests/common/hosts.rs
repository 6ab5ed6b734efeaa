//! A broker whose hosts answer from memory, at once.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::{Actions, Effect, FilterTemplate, Policy, Role, Rule, Subject, Username};
use herald_broker::{
    Authenticate, Batch, Broker, Credential, HostError, Identity, Inbox, Intake, Limits, Login,
    LoginRefusal, Notification, Position, Retain, RetainedChange, RetainedMessage, Send,
    SendRefusal,
};

/// Everyone's password.
pub(crate) const PASSWORD: &str = "secret";

/// The users there are, and that `root` administers.
pub(crate) const USERS: [&str; 4] = ["alice", "bob", "root", "tok"];

type Gates = std::collections::HashMap<String, (u32, Arc<tokio::sync::Semaphore>)>;
static GATES: std::sync::LazyLock<std::sync::Mutex<Gates>> =
    std::sync::LazyLock::new(Default::default);

pub(crate) fn gate(name: &str) -> Arc<tokio::sync::Semaphore> {
    let mut g = GATES.lock().unwrap();
    g.entry(name.into())
        .or_insert_with(|| (0, Arc::new(tokio::sync::Semaphore::new(0))))
        .1
        .clone()
}
pub(crate) fn started(name: &str) -> u32 {
    gate(name);
    GATES.lock().unwrap()[name].0
}
fn start(name: &str) {
    gate(name);
    GATES.lock().unwrap().get_mut(name).unwrap().0 += 1;
}

/// Where all connections come from.
pub(crate) const PEER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1883);

/// The number of the newest notification in every inbox.
pub(crate) const NEWEST: i64 = 6;

/// All hosts of a broker.
struct Hosts;

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
                credential: if login.username == "tok" {
                    Credential::Token {
                        id: "t".into(),
                        expires_at: Some(
                            std::time::SystemTime::now() + std::time::Duration::from_millis(300),
                        ),
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

/// A notification with this number.
pub(crate) fn notification(seq: i64) -> Notification {
    Notification {
        seq,
        payload: format!(r#"{{"seq":{seq}}}"#).into(),
    }
}

impl Inbox for Hosts {
    fn position(&self, _: &Identity) -> BoxFuture<'static, Result<Position, HostError>> {
        let position = Position {
            acknowledged: 0,
            newest: NEWEST,
        };
        async move { Ok(position) }.boxed()
    }

    fn read(
        &self,
        _: &Identity,
        after: i64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Batch, HostError>> {
        let notifications: Vec<_> = (1..=NEWEST)
            .filter(|seq| *seq > after)
            .take(limit)
            .map(notification)
            .collect();
        let more = notifications.last().is_some_and(|n| n.seq < NEWEST);
        let batch = Batch {
            notifications,
            more,
        };
        async { Ok(batch) }.boxed()
    }

    fn acknowledge(&self, _: &Identity, _: i64) {}
}

impl Intake for Hosts {
    /// The body says what becomes of it.
    fn send(&self, _: &Identity, send: Send) -> BoxFuture<'static, Result<(), SendRefusal>> {
        async move {
            match send.body.as_str() {
                b if b.starts_with("slow") || b.starts_with("new") => {
                    start(b);
                    if b.starts_with("slow") {
                        gate(b).acquire().await.unwrap().forget();
                    }
                    Ok(())
                }
                "" => Err(SendRefusal::Invalid("empty".into())),
                "long" => Err(SendRefusal::Quota("too long".into())),
                "busy" => Err(SendRefusal::Busy),
                "down" => Err(SendRefusal::Unavailable),
                _ => {
                    tokio::task::yield_now().await;
                    Ok(())
                }
            }
        }
        .boxed()
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
    let rule = |(id, subject, actions, filter): (&str, &Subject, _, _)| Rule {
        id: id.into(),
        subject: subject.clone(),
        actions,
        effect: Effect::Allow,
        filter: FilterTemplate::parse(filter).expect("these filters are valid"),
    };
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
    Policy::new(rules.into_iter().map(rule).collect())
}

/// Starts a broker that lets clients do `shared` on shared topics. Sessions that are kept without a connection are so for
/// a second.
pub(crate) async fn broker(shared: Actions) -> Broker {
    let limits = Limits {
        packet_bytes: 4096,
        queued_bytes: 64 * 1024,
        publishes_per_s: 0,
        max_session_expiry_s: 1,
        ..Limits::default()
    };
    let hosts = Arc::new(Hosts);
    Broker::start(
        limits,
        policy(shared),
        hosts.clone(),
        hosts.clone(),
        hosts.clone(),
        hosts,
    )
    .await
    .expect("the router of shared topics starts")
}

pub(crate) async fn broker2(sessions_per_user: usize) -> Broker {
    let limits = Limits {
        sessions_per_user,
        max_session_expiry_s: 60,
        publishes_per_s: 0,
        ..Limits::default()
    };
    let hosts = Arc::new(Hosts);
    Broker::start(
        limits,
        policy(Actions::Both),
        hosts.clone(),
        hosts.clone(),
        hosts.clone(),
        hosts,
    )
    .await
    .unwrap()
}

//! Whether a client is let in, and which session it has.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use herald_acl::{TopicName, parse_client_id, topics};
use rand::{Rng as _, distr::Alphanumeric};
use tokio::time::Instant;

use super::{
    admitted::{Admission, Admitted, NotAdmitted},
    client::Client,
    context::Context,
    guard::SessionGuard,
    offline,
    ownership::{Ownership, too_many},
    rights::may_publish,
    will,
};
use crate::{
    host::{Credential, Identity, Login, LoginRefusal},
    ids::SessionId,
    limits::{RECEIVE_MAXIMUM, USER_PROPERTIES},
    live_sessions::{Link, Origin, Protocol},
    mailbox::Mailbox,
    registry::{Entered, NotEntered},
    state::{HandedSession, SessionState, Will},
    wire::{ConnackProperties, Connect, Reason},
};

impl Admitted {
    /// CONNACK cannot be sent: leaves the session as it was.
    pub(super) async fn hand_back(self, ctx: &Arc<Context>) {
        let Self {
            client,
            mut state,
            guard,
            expiry,
            ..
        } = self;
        if state.is_present && !expiry.is_zero() {
            guard.park(&mut state);
            let expires = Instant::now() + expiry;
            let waiting = offline::wait(ctx.clone(), client, state, guard, expires);
            ctx.tasks.spawn(waiting);
        } else {
            end(state, guard).await;
        }
    }
}

/// What can be checked without asking anyone comes first; the costly check of the password comes last, and only then is a
/// session that the client has touched.
pub(super) async fn admit(
    ctx: &Arc<Context>,
    connect: &Connect,
    origin: Origin,
    v5: bool,
) -> Admission {
    if connect.authentication_method {
        return Err((
            Reason::BadAuthenticationMethod,
            "enhanced authentication is not supported".into(),
        ));
    }
    if !ctx.standing.stands() {
        let text = "this server is cut off; try another, or again in a moment";
        return Err((Reason::CutOff, text.into()));
    }
    if ctx.draining.is_cancelled() {
        return Err((Reason::Moved, Reason::Moved.text().into()));
    }
    let (client_id, assigned) = client_id(connect, v5)?;
    let began = Instant::now();
    let identity = authenticate(ctx, connect, &client_id, origin).await?;
    let server_keep_alive = server_keep_alive(ctx, connect);
    // CONNACK of 3.1.1 cannot name another.
    let keep_alive = server_keep_alive.filter(|_| v5);
    let keep_alive = keep_alive.unwrap_or(connect.keep_alive);
    let protocol = if v5 { Protocol::V5 } else { Protocol::V311 };
    let mut client = Client {
        identity,
        id: client_id,
        session: SessionId::BROKER,
        link: Arc::new(Link::new(origin, protocol, keep_alive)),
    };
    check_will(ctx, &client, connect)?;
    let expiry = connect.session_expiry.min(ctx.limits.max_session_expiry_s);
    let ownership = Ownership::of(ctx, &client, connect, expiry).await?;
    let will = connect.will.as_ref().map(|will| {
        let mut will = Box::new(Will::from(will));
        will.written = ownership.as_ref().map(Ownership::written_will);
        will
    });
    let Found {
        mut state,
        guard,
        is_stale,
    } = enter(ctx, &client, ownership.as_ref()).await?;
    client.session = state.id;
    if !state.is_present {
        // That an earlier session had to end is over.
        guard.mailbox.forget_stop();
    }
    if ctx.registry.is_revoked(&client.identity, began) {
        end(state, guard).await;
        return Err((Reason::NotAuthorized, "your access has ended".into()));
    }
    if connect.clean || is_stale {
        if let Some(will) = state.will.take_if(|_| connect.clean) {
            // Not waited for: a session that is handed over is never held across a wait, as it would be lost with a connection
            // that ends meanwhile.
            let tasks = ctx.tasks.clone();
            let (ctx, client) = (ctx.clone(), client.clone());
            let publish = async move { will::publish(&ctx, &client, Some(will)).await };
            tasks.spawn(publish);
        }
        guard.clear(&mut state);
    }
    // The client is back before its will was due (MQTT 5 section 3.1.3.2.2).
    state.will = None;
    guard.go_online(client.link.clone());
    if ctx.stop.is_cancelled() {
        // It came after all others were stopped.
        guard.mailbox.stop(Reason::ShuttingDown);
    } else if ctx.draining.is_cancelled() {
        guard.mailbox.disconnect(Reason::Moved);
    }
    state.has_cursor |= expiry > 0;
    let properties = ConnackProperties {
        session_present: state.is_present,
        assigned_client_id: assigned.then(|| client.id.to_string()),
        session_expiry: (expiry != connect.session_expiry).then_some(expiry),
        server_keep_alive,
        response_information: connect
            .response_information
            .then(|| topics::responses(&client.identity.username)),
        receive_maximum: RECEIVE_MAXIMUM,
    };
    let admitted = Admitted {
        token_expires: token_expires(&client.identity.credential),
        client: Arc::new(client),
        state,
        guard,
        will,
        expiry: Duration::from_secs(expiry.into()),
        receive_maximum: connect.receive_maximum,
    };
    Ok((admitted, properties))
}

/// The keep-alive time that the client is to have instead of its own.
fn server_keep_alive(ctx: &Context, connect: &Connect) -> Option<u16> {
    let longest = ctx.limits.max_keep_alive_s;
    let asks_for_more = connect.keep_alive == 0 || connect.keep_alive > longest;
    (longest > 0 && asks_for_more).then_some(longest)
}

/// The will's topic must be one that the client may publish to.
fn check_will(ctx: &Context, client: &Client, connect: &Connect) -> Result<(), NotAdmitted> {
    let Some(will) = &connect.will else {
        return Ok(());
    };
    if will.properties.user.len() > USER_PROPERTIES {
        let text = format!("a will has at most {USER_PROPERTIES} user properties");
        return Err((Reason::QuotaExceeded, text));
    }
    let topic = TopicName::parse(&will.topic)
        .map_err(|e| (Reason::TopicNameInvalid, format!("will topic: {e}")))?;
    match may_publish(ctx, client, &topic) {
        Some(_) => Ok(()),
        None => {
            let text = "you may not publish to the will's topic".into();
            Err((Reason::NotAuthorized, text))
        }
    }
}

/// The session that a client has.
struct Found {
    state: Box<SessionState>,
    guard: SessionGuard,
    /// Another server had it meanwhile, so that nothing of it may be gone on with.
    is_stale: bool,
}

/// The session that the client has, from whoever owns it, or a new one.
async fn enter(
    ctx: &Arc<Context>,
    client: &Client,
    ownership: Option<&Ownership>,
) -> Result<Found, NotAdmitted> {
    let identity = &client.identity;
    let limit = ctx.limits.sessions_per_user;
    let taken_over = || {
        let text = "another connection has your client id";
        (Reason::TakenOver, text.to_owned())
    };
    loop {
        let session = ownership.map_or_else(SessionId::next, Ownership::session);
        let bytes = ctx.user_bytes.of(&identity.user_id);
        let mailbox = Arc::new(Mailbox::new(&ctx.limits, bytes));
        let entering = ownership.and_then(Ownership::entering);
        let entered = ctx
            .registry
            .enter(identity, &client.id, session, &mailbox, limit, entering);
        let entered = entered.map_err(|error| match error {
            NotEntered::TooMany => too_many(limit),
            NotEntered::Over(Reason::TakenOver) => taken_over(),
            NotEntered::Over(reason) => (reason, "the session has ended meanwhile".into()),
        })?;
        let (state, mailbox, is_stale) = match entered {
            Entered::New => (Box::new(SessionState::new(session)), mailbox, false),
            Entered::TakingOver {
                handed,
                mailbox,
                is_stale,
            } => match handed.await.map(HandedSession::take) {
                Ok(Some(state)) => (state, mailbox, is_stale),
                // Another connection of the client came meanwhile, or the session was lost.
                _ if ctx.registry.has(identity, &client.id) => return Err(taken_over()),
                _ => continue,
            },
        };
        let guard = SessionGuard::new(ctx, &identity.username, state.id, mailbox);
        return Ok(Found {
            state,
            guard,
            is_stale,
        });
    }
}

/// Ends a session that nobody may go on with.
async fn end(mut state: Box<SessionState>, guard: SessionGuard) {
    guard.clear(&mut state);
    guard.end(state).await;
}

fn token_expires(credential: &Credential) -> Option<Instant> {
    let Credential::Token {
        expires_at: Some(at),
        ..
    } = credential
    else {
        return None;
    };
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now().checked_add(left)
}

/// The client's id, or one of ours and `true`.
fn client_id(connect: &Connect, v5: bool) -> Result<(Arc<str>, bool), NotAdmitted> {
    let given = parse_client_id(&connect.client_id)
        .map_err(|error| (Reason::ClientIdNotValid, error.to_string()))?;
    if !given.is_empty() {
        return Ok((given.into(), false));
    }
    if !connect.clean && !v5 {
        // MQTT 3.1.1 section 3.1.3.1: no id, no stored session. CONNACK of MQTT 5 has the id.
        return Err((
            Reason::ClientIdNotValid,
            "a client without an id must ask for a clean session".into(),
        ));
    }
    let id: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(22)
        .map(char::from)
        .collect();
    Ok((format!("auto-{id}").into(), true))
}

async fn authenticate(
    ctx: &Arc<Context>,
    connect: &Connect,
    client_id: &Arc<str>,
    origin: Origin,
) -> Result<Identity, NotAdmitted> {
    let login = Login {
        username: connect.username.clone().unwrap_or_default(),
        password: connect.password.clone().unwrap_or_default(),
        client_id: client_id.clone(),
        peer: origin.peer,
    };
    ctx.host
        .authenticate
        .authenticate(login)
        .await
        .map_err(|e| {
            let reason = match e {
                LoginRefusal::BadCredentials => Reason::BadCredentials,
                LoginRefusal::Throttled => Reason::Throttled,
                LoginRefusal::Unavailable => Reason::Unavailable,
            };
            (reason, e.to_string())
        })
}

//! From the first byte to CONNACK.

use std::{fmt, net::SocketAddr, sync::Arc};

use herald_acl::{TopicName, Who};
use rand::{Rng as _, distr::Alphanumeric};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Context, End, Place, io::Io};
use crate::{
    bus::SessionId,
    host::{Identity, Login, LoginRefusal},
    mailbox::Mailbox,
    wire::{ConnackProperties, Connect, Incoming, Publish, Qos, Reason, Will},
};

/// Longest client id, in bytes. MQTT allows 65,535; what is kept for a session should not depend on the client's whim.
const MAX_CLIENT_ID: usize = 256;

/// A session that has been let in.
pub(super) struct Connected {
    pub(super) session: SessionId,
    pub(super) identity: Identity,
    pub(super) place: Place,
    pub(super) client_id: Arc<str>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) will: Option<Publish>,
    pub(super) receive_maximum: u16,
}

/// Why a connection never became a session.
pub(super) enum Refusal {
    Refused(Reason),
    Ended(End),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "{reason:?}"),
            Self::Ended(end) => end.fmt(f),
        }
    }
}

impl From<End> for Refusal {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

/// Reads CONNECT, checks it and who sent it, and answers.
pub(super) async fn connect<S>(
    ctx: &Arc<Context>,
    io: &mut Io<S>,
    peer: SocketAddr,
) -> Result<Connected, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let connect = first_packet(io).await?;
    match admit(ctx, &connect, peer).await {
        Ok((connected, properties)) => match io.wire.accept(properties) {
            Ok(()) => {
                ctx.metrics.connects.add(1);
                Ok(connected)
            }
            Err(closed) => Err(End::from(closed).into()),
        },
        Err((reason, text)) => {
            io.wire.refuse(reason, &text);
            Err(Refusal::Refused(reason))
        }
    }
}

async fn first_packet<S>(io: &mut Io<S>) -> Result<Box<Connect>, End>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    loop {
        if io.has_unread() {
            match io.receive()? {
                Some(Incoming::Connect(connect)) => return Ok(connect),
                Some(_) => return Err(End::Server(Reason::ProtocolError)),
                None => {}
            }
        }
        io.transfer(true, None).await?;
    }
}

type Denied = (Reason, String);

/// What can be checked without asking anyone comes first; the costly check of the password comes last.
async fn admit(
    ctx: &Arc<Context>,
    connect: &Connect,
    peer: SocketAddr,
) -> Result<(Connected, ConnackProperties), Denied> {
    if connect.authentication_method {
        return Err((
            Reason::BadAuthenticationMethod,
            "enhanced authentication is not supported".into(),
        ));
    }
    let (client_id, assigned) = client_id(connect)?;
    let will = connect.will.as_ref().map(will).transpose()?;
    let identity = authenticate(ctx, connect, peer).await?;
    if let Some(will) = &will {
        let who = Who {
            username: &identity.username,
            role: identity.role,
            client_id: &client_id,
        };
        let topic = TopicName::parse(&will.topic)
            .map_err(|e| (Reason::TopicNameInvalid, format!("will topic: {e}")))?;
        if !ctx.policy().publish(&who, &topic).allowed {
            return Err((
                Reason::NotAuthorized,
                "you may not publish to the will's topic".into(),
            ));
        }
    }
    let session = SessionId::next();
    let mailbox = Arc::new(Mailbox::default());
    let place = Place::take(ctx, &identity, &client_id, session, &mailbox).map_err(|_| {
        let limit = ctx.limits.sessions_per_user;
        let text = format!("you have {limit} sessions already; close one");
        (Reason::QuotaExceeded, text)
    })?;
    let properties = ConnackProperties {
        assigned_client_id: assigned.then(|| client_id.to_string()),
        no_session_expiry: connect.wants_persistence(),
    };
    Ok((
        Connected {
            session,
            identity,
            place,
            client_id,
            mailbox,
            will,
            receive_maximum: connect.receive_maximum,
        },
        properties,
    ))
}

/// The client's id, or one of ours and `true`.
fn client_id(connect: &Connect) -> Result<(Arc<str>, bool), Denied> {
    let given = connect.client_id.as_str();
    if given.len() > MAX_CLIENT_ID {
        return Err((
            Reason::ClientIdNotValid,
            format!("a client id has at most {MAX_CLIENT_ID} bytes"),
        ));
    }
    if !given.is_empty() {
        return Ok((given.into(), false));
    }
    if !connect.clean {
        // MQTT 3.1.1 section 3.1.3.1: no id, no stored session.
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

fn will(will: &Will) -> Result<Publish, Denied> {
    if will.qos == Qos::ExactlyOnce {
        return Err((
            Reason::QosNotSupported,
            "the will's QoS may be 0 or 1".into(),
        ));
    }
    Ok(Publish {
        packet_id: None,
        topic: will.topic.clone(),
        payload: will.payload.clone(),
        qos: will.qos,
        retain: will.retain,
        properties: will.properties.clone(),
    })
}

async fn authenticate(
    ctx: &Arc<Context>,
    connect: &Connect,
    peer: SocketAddr,
) -> Result<Identity, Denied> {
    let login = Login {
        username: connect.username.clone().unwrap_or_default(),
        password: connect.password.clone().unwrap_or_default(),
        peer,
    };
    ctx.authenticate.authenticate(login).await.map_err(|e| {
        let reason = match e {
            LoginRefusal::BadCredentials => Reason::BadCredentials,
            LoginRefusal::Throttled => Reason::Throttled,
            LoginRefusal::Unavailable => Reason::Unavailable,
        };
        (reason, e.to_string())
    })
}

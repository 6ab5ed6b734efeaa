//! What outlives a connection, and how it passes from one to the next. Data alone: telling others of a change is
//! the session's affair.

mod handed;
mod in_flight;
mod session_state;
mod subscription;
mod will;

pub(crate) use handed::{HandedSession, OfferedSession, Takeover};
pub(crate) use in_flight::{Ack, Acked, Sending, What};
pub(crate) use session_state::SessionState;
pub(crate) use subscription::{Granted, Replay, brings};
pub(crate) use will::Will;

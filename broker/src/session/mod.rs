//! One client from CONNECT to the end, over any byte stream, in either version.
//!
//! A [`Connection`] does no I/O. It does all that can be done now, a [`Step`] at a time, and then waits for whichever comes
//! first: bytes from the client, room in the socket, [mail](crate::mailbox), a result from the host, or a deadline. Its
//! bytes are moved by [`stream`](crate::stream). Everything it holds is bounded: one chunk of unread bytes, a
//! [number of packets](crate::limits::RECEIVE_MAXIMUM) under way in each direction, and an output buffer that stops it from
//! making more once it is full.
//!
//! What outlives a connection is [`SessionState`](crate::state::SessionState). A connection that ends hands it to
//! [`offline`], which keeps it until the next connection of the same client takes it over.

mod admitted;
mod client;
mod connect;
mod connected;
mod connecting;
mod connection;
mod context;
mod cursor;
mod cursor_use;
mod deliver;
mod drain;
mod end;
mod filters;
mod finish;
mod guard;
mod inbox;
mod keep_alive;
mod kept_will;
mod offline;
mod ownership;
mod patience;
mod publish;
mod rate_limit;
mod read;
mod recheck;
mod responses;
mod rights;
mod slice;
mod step;
mod subscribe;
mod task;
mod turn;
mod will;

pub use connection::Connection;
pub(crate) use context::Context;
pub(crate) use drain::drain;
pub(crate) use end::End;
pub(crate) use kept_will::publish_kept;
pub(crate) use ownership::end as end_session;
pub(crate) use patience::patience;
pub(crate) use step::Event;
pub use step::{Step, Wait};

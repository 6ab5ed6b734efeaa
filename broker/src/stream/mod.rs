//! Connections over byte streams: the only I/O with clients that there is.

mod io;
mod run;

pub(crate) use run::run;

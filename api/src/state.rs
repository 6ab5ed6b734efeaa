//! What all endpoints share.

use std::sync::Arc;

use herald_store::Store;

use crate::{
    accounts::Accounts, health::LastPing, options::ApiOptions, queue::Counts, sends::Sends,
};

pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) sends: Arc<Sends>,
    pub(crate) options: ApiOptions,
    pub(crate) last_ping: LastPing,
    pub(crate) counts: Arc<Counts>,
}

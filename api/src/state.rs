//! What all endpoints share.

use std::sync::Arc;

use herald_store::Store;
use poem::Request;

use crate::{
    accounts::Accounts, health::LastPing, options::ApiOptions, queue::Counts, requests::Requests,
    sends::Sends,
};

pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) sends: Arc<Sends>,
    pub(crate) options: ApiOptions,
    pub(crate) requests: Requests,
    pub(crate) last_ping: LastPing,
    pub(crate) counts: Arc<Counts>,
}

impl State {
    pub(crate) fn of(request: &Request) -> &Arc<Self> {
        request
            .data()
            .expect("routes() gives every request the state")
    }
}

//! What all endpoints share.

use std::sync::Arc;

use herald_store::Store;
use poem::Request;

use crate::{
    accounts::Accounts, budget::Budget, health::LastPing, list_reads::ListReads,
    options::ApiOptions, queue::Counts, requests::Requests, sends::Sends,
};

pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) sends: Arc<Sends>,
    pub(crate) options: ApiOptions,
    pub(crate) requests: Requests,
    /// What clients have not taken of the answers to users.
    pub(crate) answers: Arc<Budget>,
    /// What is being received of the bodies that users send.
    pub(crate) bodies: Arc<Budget>,
    /// The same of everybody else.
    pub(crate) anonymous_bodies: Arc<Budget>,
    pub(crate) list_reads: ListReads,
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

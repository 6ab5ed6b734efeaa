//! What all endpoints share.

use std::sync::Arc;

use herald_store::{Store, StoreError};
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

    /// Makes a change to the end, also if the client goes away; it ends when the store is closed.
    pub(crate) async fn in_the_background<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let changed = self.options.background.spawn(change).await;
        changed.unwrap_or(Err(StoreError::Panicked))
    }
}

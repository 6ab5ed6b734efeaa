//! Where a request comes from, as audits and throttles tell it.

use std::net::IpAddr;

use poem::{Request, http::header::USER_AGENT, middleware::ReqId};

use crate::{
    audit::{AuditAction, Event},
    limits::address,
};

/// The longest that is kept of what a browser calls itself, in characters.
const USER_AGENT_CHARS: usize = 200;

/// Where a request comes from.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    pub(crate) address: IpAddr,
    request_id: Option<String>,
}

impl Requester {
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            address: address::of(request).ip().to_canonical(),
            request_id: request.data::<ReqId>().map(ReqId::to_string),
        }
    }

    /// Something that this request does.
    pub(crate) fn event(&self, action: AuditAction) -> Event {
        self.asks(Event::new(action))
    }

    /// `event` came with this request.
    pub(crate) fn asks(&self, event: Event) -> Event {
        event.from(self.address).in_request(self.request_id.clone())
    }
}

/// What the client calls itself.
pub(crate) fn user_agent(request: &Request) -> Option<String> {
    let given = request.header(USER_AGENT)?;
    let shown = given.chars().filter(|c| !c.is_control());
    Some(shown.take(USER_AGENT_CHARS).collect())
}

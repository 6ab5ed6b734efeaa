//! Where a request comes from, for the audit and the throttle.

use std::net::IpAddr;

use poem::{Request, http::header::USER_AGENT, middleware::ReqId};

use crate::{
    audit::{AuditAction, Event},
    limits::address,
};

/// The longest `User-Agent` that is kept, in characters.
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

    /// An event of the audit: this request does `action`.
    pub(crate) fn event(&self, action: AuditAction) -> Event {
        self.asks(Event::new(action))
    }

    /// Adds to `event` which request caused it.
    pub(crate) fn asks(&self, event: Event) -> Event {
        event.from(self.address).in_request(self.request_id.clone())
    }
}

/// The `User-Agent` of the client.
pub(crate) fn user_agent(request: &Request) -> Option<String> {
    let given = request.header(USER_AGENT)?;
    let shown = given.chars().filter(|c| !c.is_control());
    Some(shown.take(USER_AGENT_CHARS).collect())
}

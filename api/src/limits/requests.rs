//! How many requests a user and an address may send.

use std::{net::IpAddr, time::Duration};

use herald_store::UserId;
use poem::Request;

use crate::{
    error::{ApiError, Code},
    limits::{address, rate_limit::RateLimit},
    options::ApiOptions,
};

/// What users and addresses have sent of late.
pub(crate) struct Requests {
    by_user: RateLimit<UserId>,
    by_address: RateLimit<IpAddr>,
    registrations: RateLimit<IpAddr>,
    credentials: RateLimit<UserId>,
}

/// Accounts that an address may make for itself a minute: each costs a hash of a password, and stays.
const REGISTRATIONS_PER_MINUTE: u32 = 10;

/// Tokens and sessions that a user may make and end a minute: the audit has an entry of each.
const CREDENTIALS_PER_MINUTE: u32 = 120;

impl Requests {
    pub(crate) fn new(options: &ApiOptions) -> Self {
        Self {
            by_user: RateLimit::new(options.requests_per_minute),
            by_address: RateLimit::new(options.requests_per_minute_per_address),
            registrations: RateLimit::new(REGISTRATIONS_PER_MINUTE),
            credentials: RateLimit::new(CREDENTIALS_PER_MINUTE),
        }
    }

    /// Counts a request of `user`.
    pub(crate) fn count_user(&self, user: &UserId) -> Result<(), ApiError> {
        self.by_user
            .take(user, 1)
            .map_err(|wait| limited("You have sent too many requests. Slow down.", wait))
    }

    /// Counts a request by the address it comes from.
    pub(crate) fn count_address(&self, request: &Request) -> Result<(), ApiError> {
        let address = address::network(address::of(request).ip());
        self.by_address.take(&address, 1).map_err(|wait| {
            let detail = "Too many requests have come from your address. Slow down.";
            limited(detail, wait)
        })
    }

    /// Counts a token or a session that `user` makes or ends.
    pub(crate) fn count_credential(&self, user: &UserId) -> Result<(), ApiError> {
        let taken = self.credentials.take(user, 1);
        let detail = "You make and end too many tokens and sessions. Slow down.";
        taken.map_err(|wait| limited(detail, wait))
    }

    /// Counts an account that this address makes for itself.
    pub(crate) fn count_registration(&self, address: IpAddr) -> Result<(), ApiError> {
        let taken = self.registrations.take(&address::network(address), 1);
        let detail = "Too many accounts were made from your address. Wait.";
        taken.map_err(|wait| limited(detail, wait))
    }
}

fn limited(detail: &'static str, wait: Duration) -> ApiError {
    ApiError::new(Code::RateLimited, detail).retry_after(wait)
}

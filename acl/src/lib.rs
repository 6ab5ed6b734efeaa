//! Who may publish and subscribe to what: user names, roles, MQTT topic names and filters, and the
//! rules that join them.
//!
//! The crate is pure: no I/O, no clock, no async. Decisions rest on two relations between topic
//! filters, [`TopicFilter::covers`] and [`TopicFilter::overlaps`]: a [`Policy`] allows a
//! subscription only if one rule allows all of it, no rule denies any of it, and none of it is
//! reserved. Nothing outside this crate decides what a client may do.
//!
//! ```
//! use herald_acl::{Denial, Policy, Role, TopicFilter, Username, Principal};
//!
//! let bob = Username::parse("bob")?;
//! let principal = Principal { username: &bob, role: Role::User, client_id: "phone" };
//! let policy = Policy::builtin();
//! assert!(policy.subscribe(&principal, &TopicFilter::parse("users/bob/#")?).is_ok());
//! assert_eq!(policy.subscribe(&principal, &TopicFilter::parse("users/+/messages")?), Err(Denial::NotAdministrator));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builtin;
mod client_id;
mod decide;
mod denial;
mod filter;
mod group_rules;
mod index;
mod own_topics;
mod policy;
mod principal;
mod role;
mod rule;
mod template;
mod topic;
pub mod topics;
mod username;

pub use client_id::{CLIENT_ID_BYTES, ClientIdTooLong, parse_client_id};
pub use decide::{PublishPermit, SubscribePermit};
pub use denial::Denial;
pub use filter::TopicFilter;
pub use own_topics::OwnTopics;
pub use policy::Policy;
pub use principal::Principal;
pub use role::{Role, UnknownRole};
pub use rule::{Action, Actions, Effect, Rule, Subject};
pub use template::{FilterTemplate, TemplateError};
pub use topic::{TOPIC_BYTES, TopicError, TopicName};
pub use topics::Destination;
pub use username::{Username, UsernameError};

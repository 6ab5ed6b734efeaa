//! Who may publish and subscribe to what: user names, roles, MQTT topic names and filters, and the
//! rules that join them.
//!
//! The crate is pure: no I/O, no clock, no async. Everything is decided by two relations between
//! topic filters, [`TopicFilter::covers`] and [`TopicFilter::overlaps`]; a [`Policy`] allows a
//! subscription only if one rule allows all of it and no rule denies any of it, and if nothing of it is reserved. What it
//! decides is all there is to ask: no one else has an opinion of their own.
//!
//! ```
//! use herald_acl::{Denial, Policy, Role, TopicFilter, Username, Who};
//!
//! let bob = Username::parse("bob")?;
//! let who = Who { username: &bob, role: Role::User, client_id: "phone" };
//! let policy = Policy::builtin();
//! assert!(policy.subscribe(&who, &TopicFilter::parse("users/bob/#")?).is_ok());
//! assert_eq!(policy.subscribe(&who, &TopicFilter::parse("users/+/messages")?), Err(Denial::NotAdministrator));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builtin;
mod decide;
mod denial;
mod filter;
mod groups;
mod index;
mod own;
mod policy;
mod role;
mod rule;
mod template;
mod topic;
pub mod topics;
mod username;
mod who;

pub use decide::{PublishPermit, SubscribePermit};
pub use denial::Denial;
pub use filter::TopicFilter;
pub use own::OwnTopics;
pub use policy::Policy;
pub use role::{Role, UnknownRole};
pub use rule::{Action, Actions, Effect, Rule, Subject};
pub use template::{FilterTemplate, TemplateError};
pub use topic::{TopicError, TopicName};
pub use topics::Destination;
pub use username::{Username, UsernameError};
pub use who::Who;

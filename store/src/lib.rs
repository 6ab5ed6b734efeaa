//! Everything Herald keeps: accounts, sessions, tokens, access rules, settings, messages, inboxes
//! and retained messages, in a database that only this crate speaks SQL to.
//!
//! A [`Store`] is cheap to clone and is shared by all. Reads run beside each other and never wait
//! for writes. Writes go through one task that puts those which arrive together into one
//! transaction. A write returns once that is durable, and survives any crash then. It goes on if its
//! caller stops waiting for it.
//!
//! Time is given by the caller as `now`, so tests need no clock. Only a new delay looks at the clock itself, for what was
//! accepted ahead of it.

mod adaptive_batch;
mod at_once;
mod audit;
mod backup;
mod body;
mod bulk;
mod channel;
mod counts;
mod credential_cache;
mod database_url;
mod delay;
mod dialect;
mod epoch;
mod error;
mod fetch;
mod ids;
mod integrity;
mod job;
mod lists;
mod location;
mod membership;
mod messages;
mod migrations;
mod moment;
mod monotonic_clock;
mod mqtt_sessions;
mod notification;
mod open;
mod open_files;
mod options;
mod outcome;
mod owned_task;
mod page;
mod readers;
mod reads;
mod refusal;
mod rights;
mod server;
mod server_facts;
mod server_pool;
mod sessions;
mod sign_ins;
mod statement;
mod store;
mod timestamp;
mod tokens;
mod transfer;
mod users;
mod writer;
mod writes;

pub use at_once::{Room, WorksAtOnce};
pub use audit::AuditEntry;
pub use backup::{copy_database, settle_database};
pub use body::{BodyError, check_body, check_idempotency_key};
pub use channel::{Looks, NodeChannel, NodeFrames, Purpose, Received, UnconnectedChannel};
pub use database_url::DatabaseUrl;
pub use delay::{Delay, DelayError};
pub use epoch::{Epoch, InboxProgress};
pub use error::StoreError;
pub use ids::{AuditId, MessageId, NodeId, ProcessId, RuleId, Seq, SessionId, TokenId, UserId};
pub use job::{Job, Lease};
pub use lists::PAGE_BYTES;
pub use membership::Membership;
pub use messages::{Message, Status};
pub use moment::Moment;
pub use mqtt_sessions::{
    Departure, EndReason, HeldSession, MqttSession, MqttWill, Ownership, SessionEnd, SessionKey,
    TakeOver, TakenOver,
};
pub use notification::Notification;
pub use options::StoreOptions;
pub use outcome::Outcome;
pub use page::Page;
pub use reads::audit::{AuditFilter, StoredAuditEntry};
pub use reads::clock::AheadOfClock;
pub use reads::failed_attempts::FailedAttempt;
pub use reads::inbox::Position;
pub use reads::listing::{InvalidPageToken, MessagePage, MessagePageToken};
pub use reads::mqtt_sessions::ListedMqttSession;
pub use reads::mqtt_wills::LostWill;
pub use reads::nodes::Node;
pub use reads::queue::StatusCounts;
pub use reads::retained::{RetainedMessage, RetainedRow};
pub use reads::rules::StoredRule;
pub use reads::sessions::ListedSession;
pub use refusal::Refusal;
pub use rights::{Changed, RightsChange};
pub use server::examine_server;
pub use server_facts::ServerFacts;
pub use sessions::Session;
pub use sign_ins::{SIGN_IN_WINDOW, SignInCount, SignInKey};
pub use store::Store;
pub use timestamp::{NoTime, Timestamp};
pub use tokens::{Scopes, Token};
pub use transfer::{TransferError, TransferProgress, TransferStep, Transferred, transfer_database};
pub use users::User;
pub use writes::accept::Accepted;
pub use writes::acknowledge::Acknowledged;
pub use writes::cursors::MAX_CURSORS;
pub use writes::finish::Finished;
pub use writes::lease::IsRunning;
pub use writes::mqtt_sessions::ClaimedWill;
pub use writes::prune::Pruned;
pub use writes::removal::Removed;
pub use writes::retained::RetainedChange;
pub use writes::retries::Moved;
pub use writes::retry_dead::{DeadFilter, DeadPageToken, Requeued, RetriedDead};
pub use writes::rules::{CreateRule, MAX_RULES, RuleContent};
pub use writes::sessions::NewSession;
pub use writes::shrink::Shrunk;
pub use writes::tokens::{CreateToken, NewToken, TokenOrigin};
pub use writes::user_changes::{UpdateUser, UserUpdate};
pub use writes::user_deletion::CloseUser;
pub use writes::users::CreateUser;

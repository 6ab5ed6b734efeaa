//! Everything Herald keeps: accounts, sessions, tokens, access rules, settings, messages, inboxes
//! and retained messages, in a database that only this crate speaks SQL to.
//!
//! A [`Store`] is cheap to clone and is shared by all. Reads run beside each other and never wait
//! for writes. Writes go through one task that puts those which arrive together into one
//! transaction and answers them once it is durable; a write that was answered survives any crash.
//! A write goes on if its caller stops waiting for it.
//!
//! Time is given by the caller as `now`, so tests need no clock. Only a new delay looks at the clock itself, for what was
//! accepted ahead of it.

mod accept;
mod acknowledge;
mod adaptive_batch;
mod audit;
mod backup;
mod body;
mod bulk;
mod clock;
mod cursors;
mod delay;
mod dialect;
mod epoch;
mod error;
mod finish;
mod ids;
mod inbox;
mod integrity;
mod lanes;
mod listing;
mod lists;
mod messages;
mod migrations;
mod monotonic_clock;
mod notification;
mod open;
mod open_files;
mod owned_task;
mod page;
mod prune;
mod queue;
mod removal;
mod reschedule;
mod retained;
mod retries;
mod retry_dead;
mod rights;
mod rules;
mod sessions;
mod shrink;
mod store;
mod stored_bytes;
mod timestamp;
mod token_reader;
mod tokens;
mod user_changes;
mod user_deletion;
mod users;
mod writer;

pub use accept::Accepted;
pub use acknowledge::Acknowledged;
pub use audit::{AuditEntry, AuditFilter, StoredAuditEntry};
pub use backup::{copy_database, settle_database};
pub use body::{BodyError, check_body, check_idempotency_key};
pub use clock::AheadOfClock;
pub use cursors::MAX_CURSORS;
pub use delay::{Delay, DelayError};
pub use epoch::{Epoch, InboxProgress};
pub use error::StoreError;
pub use finish::{Finished, Outcome};
pub use ids::{AuditId, MessageId, RuleId, Seq, SessionId, TokenId, UserId};
pub use inbox::Position;
pub use listing::{MessagePage, MessagePlace, NoPlace};
pub use lists::PAGE_BYTES;
pub use messages::{Message, Status};
pub use notification::Notification;
pub use page::Page;
pub use prune::Pruned;
pub use queue::{IsRunning, Job, Lease, StatusCounts};
pub use removal::Removed;
pub use retained::{RetainedChange, RetainedMessage};
pub use retries::{FailedAttempt, Moved};
pub use retry_dead::{DeadFilter, DeadPlace, Requeued, RetriedDead};
pub use rights::{Changed, RightsChange};
pub use rules::{CreateRule, MAX_RULES, RuleContent, StoredRule};
pub use sessions::{ListedSession, NewSession, Session};
pub use shrink::Shrunk;
pub use store::{Store, StoreOptions};
pub use timestamp::{NoTime, Timestamp};
pub use tokens::{CreateToken, NewToken, Scopes, Token, TokenOrigin};
pub use user_changes::{UpdateUser, UserUpdate};
pub use user_deletion::CloseUser;
pub use users::{CreateUser, User};

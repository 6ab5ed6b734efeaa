// What the store is tested with on each database server: the modules of store/tests/store that are not about a file.

#[path = "../store/accounts.rs"]
mod accounts;
#[path = "../store/acknowledge.rs"]
mod acknowledge;
#[path = "aside.rs"]
mod aside;
#[path = "../store/at_once.rs"]
mod at_once;
#[path = "../store/audit.rs"]
mod audit;
#[path = "beneath.rs"]
mod beneath;
#[path = "channel.rs"]
mod channel;
#[path = "../store/clock.rs"]
mod clock;
#[path = "../store/common.rs"]
mod common;
#[path = "../store/counts.rs"]
mod counts;
#[path = "counts_mended.rs"]
mod counts_mended;
#[path = "../store/delays.rs"]
mod delays;
#[path = "doubts.rs"]
mod doubts;
#[path = "../store/durability.rs"]
mod durability;
#[path = "../store/fairness.rs"]
mod fairness;
#[path = "faults.rs"]
mod faults;
#[path = "../store/idempotency.rs"]
mod idempotency;
#[path = "idle.rs"]
mod idle;
#[path = "../store/inbox.rs"]
mod inbox;
#[path = "../store/known.rs"]
mod known;
#[path = "killed.rs"]
mod killed;
#[path = "large.rs"]
mod large;
#[path = "../store/leases.rs"]
mod leases;
#[path = "../store/listing.rs"]
mod listing;
#[path = "lock_order.rs"]
mod lock_order;
#[path = "mqtt_sessions.rs"]
mod mqtt_sessions;
#[path = "mqtt_wills.rs"]
mod mqtt_wills;
#[path = "nodes.rs"]
mod nodes;
#[path = "../store/prune.rs"]
mod prune;
#[path = "../store/queue.rs"]
mod queue;
#[path = "../store/removal.rs"]
mod removal;
#[path = "../store/retained.rs"]
mod retained;
#[path = "retained_feed.rs"]
mod retained_feed;
#[path = "../store/retry_dead.rs"]
mod retry_dead;
#[path = "../store/rights.rs"]
mod rights;
#[path = "../store/rules.rs"]
mod rules;
#[path = "../store/sessions.rs"]
mod sessions;
#[path = "../store/stored_bytes.rs"]
mod stored_bytes;
#[path = "../store/tokens.rs"]
mod tokens;
#[path = "sign_ins.rs"]
mod sign_ins;
#[path = "token_lookups.rs"]
mod token_lookups;
#[path = "two_writers.rs"]
mod two_writers;
#[path = "../store/user_changes.rs"]
mod user_changes;
#[path = "../store/user_deletion.rs"]
mod user_deletion;
#[path = "waiting.rs"]
mod waiting;
#[path = "waits.rs"]
mod waits;

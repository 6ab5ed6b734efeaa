//! The queue as a whole, for administrators.

use std::{sync::Arc, time::Duration};

use herald_store::{StatusCounts, Store, Timestamp};
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};

use crate::{
    audit::AuditAction,
    error::ApiError,
    fields::{DateTime, example::example},
    middleware::caller::Administrator,
    queue::{Percentiles, Throughput},
    routes::tags::Tag,
};

pub(crate) struct QueueApi {
    pub(crate) store: Store,
    pub(crate) throughput: Arc<Throughput>,
}

/// How many messages there are of each status.
#[derive(Object)]
#[oai(example, rename = "StatusCounts")]
struct CountsView {
    queued: u64,
    processing: u64,
    processed: u64,
    dead: u64,
    cancelled: u64,
}

example!(CountsView {
    queued: 0,
    processing: 0,
    processed: 1234,
    dead: 0,
    cancelled: 0,
});

/// From when messages were due until they ended.
#[derive(Object)]
#[oai(example)]
struct Latency {
    /// Half took no longer, in milliseconds.
    p50_ms: u64,
    /// Of a hundred, 99 took no longer, in milliseconds.
    p99_ms: u64,
}

example!(Latency {
    p50_ms: 3,
    p99_ms: 24,
});

/// How the queue goes.
#[derive(Object)]
#[oai(example, rename = "Queue")]
struct QueueView {
    /// Whether no message is taken up.
    paused: bool,
    counts: CountsView,
    /// When the queued message that is due first is, or was, due.
    oldest_due: Option<DateTime>,
    /// When `counts` and `oldest_due` were so.
    counted_at: DateTime,
    /// How many messages this server ended a second within the last minute, dead ones included.
    #[oai(validator(minimum(value = "0")))]
    processed_per_s: f64,
    /// Of those; `null` if there were none. Not counting the delay, nor the pauses between attempts. Within 7 %.
    latency: Option<Latency>,
}

example!(QueueView {
    paused: false,
    counts,
    oldest_due: None,
    counted_at,
    processed_per_s: 12.5,
    latency: Some(Latency::example()),
});

/// What one minute was like.
#[derive(Object)]
#[oai(example, rename = "QueueMinute")]
struct MinuteView {
    /// When it began.
    at: DateTime,
    /// How many messages this server ended, dead ones included.
    processed: u64,
    /// Of those; `null` if there were none.
    latency: Option<Latency>,
}

example!(MinuteView {
    at,
    processed: 1234,
    latency: Some(Latency::example()),
});

/// How the queue went.
#[derive(Object)]
#[oai(example, rename = "QueueHistory")]
struct HistoryView {
    /// Oldest first; the last one is the minute of now, which is not over.
    items: Vec<MinuteView>,
}

example!(HistoryView {
    items: vec![MinuteView::example()]
});

#[derive(ApiResponse)]
enum Done {
    /// It is so now.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/admin/queue", tag = "Tag::Admin")]
impl QueueApi {
    /// See how the queue goes
    ///
    /// Asking costs little, however many messages there are: their numbers are kept.
    #[oai(path = "/", method = "get", operation_id = "getQueue")]
    async fn queue(&self, _admin: Administrator) -> Result<Json<QueueView>, ApiError> {
        let store = &self.store;
        let counted_at = Timestamp::now();
        let counts = store.counts().await?;
        let oldest_due = store.oldest_due().await?;
        let throughput = self.throughput.last_minute();
        Ok(Json(QueueView {
            paused: store.is_paused().await?,
            counts: counts.into(),
            oldest_due: oldest_due.map(DateTime::from),
            counted_at: counted_at.into(),
            processed_per_s: throughput.per_s,
            latency: throughput.latency.map(Latency::from),
        }))
    }

    /// See how the queue went within the last hour
    ///
    /// Minute by minute, at most 60; those before this server's start are missing.
    #[oai(path = "/history", method = "get", operation_id = "getQueueHistory")]
    async fn history(&self, _admin: Administrator) -> Result<Json<HistoryView>, ApiError> {
        let now = Timestamp::now();
        let minutes = self.throughput.last_hour();
        let items = minutes.into_iter().map(|minute| MinuteView {
            at: before(now, minute.began).into(),
            processed: minute.ended,
            latency: minute.latency.map(Latency::from),
        });
        Ok(Json(HistoryView {
            items: items.collect(),
        }))
    }

    /// Pause the queue
    ///
    /// No message is taken up until it is resumed, also after a restart. Those being processed go on; sends are accepted.
    #[oai(path = "/pause", method = "post", operation_id = "pauseQueue")]
    async fn pause(&self, admin: Administrator) -> Result<Done, ApiError> {
        let event = admin.0.event(AuditAction::QueuePaused);
        self.store.audited(event.entry()).pause().await?;
        tracing::info!(by = %admin.0.user.username, "the queue was paused");
        Ok(Done::Done)
    }

    /// Resume the queue
    ///
    /// Messages that are due are taken up at once.
    #[oai(path = "/resume", method = "post", operation_id = "resumeQueue")]
    async fn resume(&self, admin: Administrator) -> Result<Done, ApiError> {
        let event = admin.0.event(AuditAction::QueueResumed);
        self.store.audited(event.entry()).resume().await?;
        tracing::info!(by = %admin.0.user.username, "the queue was resumed");
        Ok(Done::Done)
    }
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(ago))
}

impl From<Percentiles> for Latency {
    fn from(percentiles: Percentiles) -> Self {
        Self {
            p50_ms: percentiles.p50_ms,
            p99_ms: percentiles.p99_ms,
        }
    }
}

impl From<StatusCounts> for CountsView {
    fn from(counts: StatusCounts) -> Self {
        Self {
            queued: counts.queued,
            processing: counts.processing,
            processed: counts.processed,
            dead: counts.dead,
            cancelled: counts.cancelled,
        }
    }
}

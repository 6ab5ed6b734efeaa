//! The handle that all parts of Herald hold.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::Notify;

use crate::at_once::AtOnce;
use crate::credential_cache::CredentialCache;
use crate::dialect::Dialect;
use crate::epoch::{self, CurrentEpoch};
use crate::integrity::Check;
use crate::lists::Lists;
use crate::location::Location;
use crate::open::prepare;
use crate::readers::Readers;
use crate::reads::token_reader::TokenReader;
use crate::statement::Statement;
use crate::transfer::refuse_unfinished;
use crate::writer::{Observers, Operation, Transaction, Writer};
use crate::writes::audited::Audited;
use crate::writes::claim::InLine;
use crate::{
    AuditEntry, NodeId, ProcessId, StoreError, StoreOptions, bulk, dialect, monotonic_clock,
};

/// An open database. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// What the audit is to say of the next change.
    entry: Option<Arc<AuditEntry>>,
}

#[derive(Debug)]
struct Inner {
    check: Check,
    writer: Writer,
    readers: Readers,
    lists: Lists,
    tokens: TokenReader,
    credentials: Arc<CredentialCache>,
    waiting_messages: u32,
    stored_bytes: u64,
    notification_bytes: usize,
    epoch: CurrentEpoch,
    /// Notified of every commit after which a message may be due.
    queued: Arc<Notify>,
    at_once: AtOnce,
    take_back_in_line: InLine,
    location: Location,
    /// Which of the servers that share the database this is, if it is one.
    node: RwLock<Option<NodeId>>,
    /// What this process is called among them, whatever node it is.
    process: ProcessId,
}

impl Store {
    /// Opens the database, checks that it is whole, and brings its tables to this version. Makes
    /// the file, but not its directory, if it does not exist. A file of more than 64 MiB is checked while it is used,
    /// and [`ping`](Self::ping) fails if it is damaged. Another process may have the same database open.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`], [`StoreError::Unwritable`], [`StoreError::NotADatabase`],
    /// [`StoreError::Corrupt`], [`StoreError::Newer`], [`StoreError::Unfinished`]; of a server [`StoreError::Unreachable`] or [`StoreError::Refused`]; or
    /// another [`StoreError`].
    pub async fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let (waiting_messages, stored_bytes) = (options.waiting_messages, options.stored_bytes);
        let notification_bytes = options
            .notification_bytes
            .max(StoreOptions::LEAST_NOTIFICATION_BYTES);
        let location = Location::parse(options.url)?;
        let (mut conn, check) = prepare(&location).await?;
        refuse_unfinished(&mut conn, location.dialect(), || location.name()).await?;
        if location.dialect() != Dialect::Sqlite {
            let now = location.answer(dialect::read_now(&mut conn, location.dialect()));
            monotonic_clock::follow_database(now.await?);
        }
        let epoch = location.answer(epoch::read(&mut conn)).await?;
        let epoch = CurrentEpoch::new(epoch);
        let readers = location.connect_readers(options.readers).await?;
        let lists = location.connect_lists(options.list_readers).await?;
        let queued = Arc::new(Notify::new());
        let tokens = TokenReader::start(location.clone());
        let soft = location.connect_soft_writer().await?;
        let credentials = Arc::new(CredentialCache::new());
        let observers = Observers {
            wake: Arc::clone(&queued),
            credentials: Arc::clone(&credentials),
        };
        let writer = Writer::start(location.clone(), conn, soft, observers);
        let inner = Inner {
            check,
            writer,
            tokens,
            credentials,
            readers,
            lists,
            waiting_messages,
            stored_bytes,
            notification_bytes,
            epoch,
            queued,
            at_once: AtOnce::default(),
            take_back_in_line: InLine::default(),
            location,
            node: RwLock::default(),
            process: ProcessId::new(),
        };
        Ok(Self {
            inner: Arc::new(inner),
            entry: None,
        })
    }

    /// The same database, with or without something to say to the audit.
    pub(crate) fn with_entry(&self, entry: Option<AuditEntry>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            entry: entry.map(Arc::new),
        }
    }

    /// Finishes the writes that are under way, then closes the database, for all clones. What is
    /// asked of it later fails with [`StoreError::Closed`].
    pub async fn close(&self) {
        self.inner.check.close().await;
        self.inner.writer.close().await;
        self.inner.tokens.close().await;
        self.inner.readers.close().await;
        self.inner.lists.close().await;
    }

    /// Checks that the database can be read and written, by doing both: whether a disk is full or may only be read shows
    /// in no other way. Costs as much as any write.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] that says why not; [`StoreError::Corrupt`] once a large file was found to be damaged.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if let Some(damage) = self.inner.check.damage() {
            return Err(damage);
        }
        // First: it says best why nothing works, as when the file is gone.
        if self.is_exclusive() {
            self.write(Ping).await?;
        } else {
            tokio::try_join!(self.write(Ping), self.write(SoftPing))?;
        }
        self.readers().fetch_one(Statement::new("SELECT 1")).await?;
        Ok(())
    }

    /// Whether no other process works on this database: a file is one server's.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.inner.readers.dialect() == Dialect::Sqlite
    }

    /// Where the database is.
    pub(crate) fn location(&self) -> &Location {
        &self.inner.location
    }

    /// The node that claims are made for, if they are made for one: that of this process, if it has joined.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        let node = self.inner.node.read();
        node.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What this process is called among those that share the database, from when it opened it.
    #[must_use]
    pub fn process(&self) -> &ProcessId {
        &self.inner.process
    }

    /// From now on claims are made for `node`.
    pub(crate) fn set_node(&self, node: NodeId) {
        let mut set = self.inner.node.write();
        **set.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut()) = Some(node);
    }

    /// Notified of every commit after which a message may be due: one that was accepted and waits, or a changed delay.
    /// One waiter is woken, or the next to wait, once for any number of commits.
    #[must_use]
    pub fn queued(&self) -> &Notify {
        &self.inner.queued
    }

    /// Who works on messages as they are accepted.
    pub(crate) fn at_once(&self) -> &AtOnce {
        &self.inner.at_once
    }

    /// Whether leases that have run out are taken back in line.
    pub(crate) fn take_back_in_line(&self) -> &InLine {
        &self.inner.take_back_in_line
    }

    /// How many messages of one user may wait or be worked on at a time.
    pub(crate) fn waiting_messages(&self) -> u32 {
        self.inner.waiting_messages
    }

    /// How many bytes may be kept of one user; `None`: any number.
    #[must_use]
    pub fn stored_bytes_limit(&self) -> Option<u64> {
        Some(self.inner.stored_bytes).filter(|limit| *limit > 0)
    }

    /// How many bytes of JSON a notification has at most.
    pub(crate) fn notification_bytes(&self) -> usize {
        self.inner.notification_bytes
    }

    /// The epoch in force.
    pub(crate) fn current_epoch(&self) -> &CurrentEpoch {
        &self.inner.epoch
    }

    /// The connections for what users and administrators look at, however much and often they do.
    pub(crate) fn lists(&self) -> &Lists {
        &self.inner.lists
    }

    /// The connections for what the service itself needs to go on: the worker, rights, sign-ins, inboxes over MQTT. Each
    /// read is a few rows by their key.
    pub(crate) fn readers(&self) -> &Readers {
        &self.inner.readers
    }

    /// The way to look tokens up.
    pub(crate) fn tokens(&self) -> &TokenReader {
        &self.inner.tokens
    }

    /// Sessions and tokens that were looked up lately.
    pub(crate) fn credentials(&self) -> &CredentialCache {
        &self.inner.credentials
    }

    /// Writes; waits a limited time for room in the queue, then fails with [`StoreError::Busy`].
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let writer = &self.inner.writer;
        match &self.entry {
            Some(entry) => {
                writer
                    .write(Audited::new(AuditEntry::clone(entry), operation))
                    .await
            }
            None => writer.write(operation).await,
        }
    }

    /// Whether no write waits.
    pub(crate) fn is_writer_idle(&self) -> bool {
        self.inner.writer.is_idle()
    }

    /// Writes what may as well be lost, without waiting for it.
    pub(crate) fn note<O: Operation>(&self, operation: O) {
        self.inner.writer.note(operation);
    }

    /// Writes, unless the queue is full: then fails with [`StoreError::Busy`] at once. The same if it could not be expected to
    /// be written by a time.
    pub(crate) async fn try_write<O: Operation>(
        &self,
        operation: O,
        by: Option<Instant>,
    ) -> Result<O::Output, StoreError> {
        self.inner.writer.try_write(operation, by).await
    }
}

/// Writes what nobody reads.
pub(crate) struct Ping;

impl Operation for Ping {
    type Output = ();

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let again = tx.dialect().on_conflict(&["name"], &["value"]);
        let text = format!("INSERT INTO settings (name, value) VALUES ('ping', '') {again}");
        tx.execute(Statement::new(bulk::statement(text))).await?;
        Ok(())
    }
}

/// Writes nothing but what a transaction writes itself, on the connection that [`Ping`] does not take.
struct SoftPing;

impl Operation for SoftPing {
    type Output = ();

    const DURABLE: bool = false;

    async fn run(&self, _tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

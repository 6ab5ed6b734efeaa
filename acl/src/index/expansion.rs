//! For whom a template can be expanded.

use crate::index::level::{Level, Names, Placeholder};
use crate::template::FilterTemplate;
use crate::topic::TOPIC_BYTES;

/// What decides whether a template can be expanded: see [`FilterTemplate::expand`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expansion {
    /// The length of the filter in bytes without what is filled in.
    fixed: usize,
    /// How many times the user name is filled in.
    users: usize,
    /// How many times the client id is filled in.
    clients: usize,
    /// Whether the filter starts with the client id.
    starts_with_client: bool,
}

impl Expansion {
    /// What `template` needs.
    pub(crate) fn new(template: &FilterTemplate) -> Self {
        let levels = || template.as_str().split('/').map(Level::parse);
        let count = |placeholder| {
            let has = |level: &Level| matches!(level, Level::Open(open) if open.placeholder == placeholder);
            levels().filter(has).count()
        };
        let fixed = |level| match level {
            Level::Literal(text) => text.len(),
            Level::Open(open) => open.before.len() + open.after.len(),
            Level::Plus | Level::Hash => 1,
        };
        Self {
            fixed: levels().map(|level| fixed(level) + 1).sum::<usize>() - 1,
            users: count(Placeholder::User),
            clients: count(Placeholder::Client),
            starts_with_client: template.as_str().starts_with("%c"),
        }
    }

    /// Whether the template can be expanded with these names.
    pub(crate) fn is_possible(&self, names: &Names<'_>) -> bool {
        let client = match names.client {
            Some(client) => client,
            None if self.clients == 0 => "",
            None => return false,
        };
        let bytes = self.fixed + self.users * names.user.len() + self.clients * client.len();
        bytes <= TOPIC_BYTES && !(self.starts_with_client && client.starts_with('$'))
    }

    /// An expansion that is possible only if both are.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            fixed: self.fixed.max(other.fixed),
            users: self.users.max(other.users),
            clients: self.clients.max(other.clients),
            starts_with_client: self.starts_with_client || other.starts_with_client,
        }
    }
}

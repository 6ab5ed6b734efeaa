//! Who is waited for, and whether that is still of use.

use std::{collections::BTreeMap, mem, time::Duration};

use herald_store::{Node, NodeId, StoreError, Timestamp};

use super::reached::Unknown;

/// Who leaves by itself has more than this left of its lease.
const LEFT_AT_LEAST: Duration = Duration::from_secs(1);

/// What keeps somebody waiting.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) stage: Stage,
    /// What the database said last instead of an answer.
    error: Option<String>,
    /// Servers where it is not in force, and until when each is known to be there.
    pub(super) behind: BTreeMap<NodeId, Timestamp>,
    /// Those of them that others hold to be gone by now.
    pub(super) given_up: Vec<NodeId>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) enum Stage {
    /// It is not known what is to be waited for.
    #[default]
    Number,
    Here,
    There,
}

impl Waiting {
    /// Takes in how far `nodes` are, all but `own`, at the time `now` of the database, or a little earlier.
    pub(super) fn look(
        &mut self,
        nodes: &[Node],
        own: Option<&NodeId>,
        number: i64,
        now: Timestamp,
    ) {
        self.error = None;
        let before = mem::take(&mut self.behind);
        for node in nodes {
            if Some(&node.id) != own && node.stands && node.rights_seen < number {
                self.behind.insert(node.id.clone(), node.lease_until);
            }
        }
        for (id, lease_until) in before {
            let is_behind = self.behind.contains_key(&id);
            let node = nodes.iter().find(|node| node.id == id);
            let is_given_up = match node {
                Some(node) => !node.stands && node.rights_seen < number,
                // Another one found that its lease had ended, or it left by itself, when it had ended all sessions.
                None => lease_until <= now + LEFT_AT_LEAST,
            };
            if !is_behind && is_given_up {
                self.given_up.push(id);
            }
        }
    }

    pub(super) fn failed(&mut self, error: &StoreError) {
        self.error = Some(error.to_string());
    }

    /// Why it takes too long.
    pub(super) fn unknown(self) -> Unknown {
        match (self.stage, self.error) {
            (Stage::Here, _) => Unknown::Here,
            (Stage::There, None) if !self.behind.is_empty() => {
                Unknown::There(self.behind.into_keys().collect())
            }
            (_, error) => {
                Unknown::Database(error.unwrap_or_else(|| "it does not answer".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests;

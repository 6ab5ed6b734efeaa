//! Who has a session after a takeover, and who has to end it.

use std::collections::HashMap;

use crate::{
    EndReason, MqttSession, MqttWill, Ownership, ProcessId, SessionKey, TakeOver, TakenOver, UserId,
};

/// A session that is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: SessionKey,
    pub(super) process: ProcessId,
    pub(super) number: i64,
    pub(super) first_number: i64,
    pub(super) is_connected: bool,
    /// Its process is there, as far as the others know.
    pub(super) is_live: bool,
}

/// That a process has to end a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) key: SessionKey,
    pub(super) process: ProcessId,
    pub(super) number: i64,
    pub(super) reason: EndReason,
}

/// What is written down of the users whose sessions are taken over.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Others hold the process that takes over to be gone.
    pub(super) is_cut_off: bool,
    pub(super) sessions: HashMap<UserId, Vec<Row>>,
    /// Which processes that are there have not yet ended these sessions, which they have to end.
    pub(super) awaited: Vec<(SessionKey, ProcessId)>,
}

/// A will that a session comes with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PutWill {
    pub(super) session: MqttSession,
    pub(super) number: i64,
    pub(super) will: MqttWill,
}

/// What is to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// One at most for each session.
    pub(super) put: Vec<(MqttSession, i64, i64)>,
    /// The wills of those that have one, and which have none: an earlier one of the session is no more.
    pub(super) wills: Vec<PutWill>,
    pub(super) without_will: Vec<SessionKey>,
    pub(super) orders: Vec<Order>,
    /// Sessions that make room.
    pub(super) removed: Vec<SessionKey>,
    /// One for each takeover.
    pub(super) outputs: Vec<TakenOver>,
}

/// One takeover after the other, by the process `own`.
pub(super) fn decide(all: &[&TakeOver], own: &ProcessId, mut facts: Facts) -> Decision {
    let mut decision = Decision::default();
    if facts.is_cut_off {
        decision.outputs = vec![TakenOver::CutOff; all.len()];
        return decision;
    }
    for take in all {
        let output = facts.take_over(take, own, &mut decision);
        decision.outputs.push(output);
    }
    decision
}

impl Facts {
    fn take_over(
        &mut self,
        take: &TakeOver,
        own: &ProcessId,
        decision: &mut Decision,
    ) -> TakenOver {
        let key = &take.session.key;
        let theirs = self.sessions.entry(key.user.clone()).or_default();
        let is_elsewhere = |row: &Row| row.is_live && row.process != *own;
        let is_other = |row: &&Row| row.key != *key && is_elsewhere(row);
        let mut elsewhere = theirs.iter().filter(is_other).count();
        let mut tell = vec![];
        if take.here + elsewhere >= take.limit && !take.idle_here {
            let is_idle = |row: &Row| is_other(&row) && !row.is_connected;
            let Some(idle) = theirs.iter().position(is_idle) else {
                return TakenOver::TooMany;
            };
            let idle = theirs.swap_remove(idle);
            elsewhere -= 1;
            tell.push(idle.process.clone());
            decision.order(&idle, EndReason::MadeRoom);
            decision.removed.push(idle.key);
        }
        let before = theirs.iter().position(|row| row.key == *key);
        let before = before.map(|at| theirs.swap_remove(at));
        let (mut number, mut first_number) = (take.number, take.number);
        match &before {
            Some(row) if row.process == *own => {
                number = number.max(row.number);
                first_number = row.first_number;
            }
            Some(row) if row.is_live => {
                let reason = match take.clean {
                    true => EndReason::BeganAnew,
                    false => EndReason::TakenOver,
                };
                decision.order(row, reason);
                self.awaited.push((key.clone(), row.process.clone()));
            }
            Some(_) | None => {}
        }
        theirs.push(Row {
            key: key.clone(),
            process: own.clone(),
            number,
            first_number,
            is_connected: true,
            is_live: true,
        });
        decision
            .put
            .retain(|(session, ..)| session.key != take.session.key);
        let put = (take.session.clone(), number, first_number);
        decision.put.push(put);
        decision.put_will(take, number);
        let awaited = self.awaited.iter();
        let awaited = awaited.filter(|(of, process)| of == key && process != own);
        let before = tell.len();
        tell.extend(awaited.map(|(_, process)| process.clone()));
        TakenOver::Done(Ownership {
            first_number,
            elsewhere,
            is_awaited: tell.len() > before,
            tell,
        })
    }
}

impl Decision {
    /// The last takeover of a session says which will it has.
    fn put_will(&mut self, take: &TakeOver, number: i64) {
        let key = &take.session.key;
        self.wills.retain(|put| put.session.key != *key);
        self.without_will.retain(|other| other != key);
        match &take.will {
            Some(will) => self.wills.push(PutWill {
                session: take.session.clone(),
                number,
                will: will.clone(),
            }),
            None => self.without_will.push(key.clone()),
        }
    }

    /// Has the process of `row` end the session. A later order for the same session stands for an earlier one.
    fn order(&mut self, row: &Row, reason: EndReason) {
        self.orders
            .retain(|order| (&order.key, &order.process) != (&row.key, &row.process));
        self.orders.push(Order {
            key: row.key.clone(),
            process: row.process.clone(),
            number: row.number,
            reason,
        });
    }
}

#[cfg(test)]
mod tests;

//! What is put aside, in which order.

use std::sync::{Arc, Mutex};

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::UserId;
use crate::writer::batch::Queued;
use crate::writer::operation::Operation;
use crate::writer::transaction::Transaction;
use crate::writer::waiting::{State, Waiting};

type Users = std::collections::BTreeSet<u8>;

/// A write of one of two kinds that says when it was written.
struct Noted<const KIND: bool> {
    users: Users,
    number: usize,
    written: Arc<Mutex<Vec<usize>>>,
}

impl<const KIND: bool> Operation for Noted<KIND> {
    type Output = ();

    fn lock(&self, locks: &mut Locks) {
        locks.add(locks_of(&self.users));
    }

    async fn run(&self, _tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl<const KIND: bool> Drop for Noted<KIND> {
    fn drop(&mut self) {
        self.written.lock().unwrap().push(self.number);
    }
}

fn locks_of(users: &Users) -> Locks {
    let mut locks = Locks::default();
    for user in users {
        locks.queue(&UserId::from_string(user.to_string()));
    }
    locks
}

/// A batch.
#[derive(Debug)]
struct Step {
    queued: Vec<(bool, Users)>,
    /// Who is locked, each time that it is tried.
    locked: Vec<Users>,
    most: usize,
    is_due: bool,
}

fn steps(users_of_each: usize) -> impl Strategy<Value = Vec<Step>> {
    let users = |most| btree_set(0_u8..6, 0..=most);
    let queued = vec((any::<bool>(), users(users_of_each)), 0..8);
    let locked = vec(users(3), 1..4);
    let step = (queued, locked, 1_usize..20, any::<bool>());
    let step = step.prop_map(|(queued, locked, most, is_due)| Step {
        queued,
        locked,
        most,
        is_due,
    });
    vec(step, 0..12)
}

/// Does what the task does with a batch, but for the transaction.
fn write(aside: &mut Aside, mut new: Batch, step: &Step) {
    aside.look_at = Instant::now() + Duration::from_secs(u64::from(!step.is_due) * 600);
    let mut batch = aside.take_due(&Notify::new());
    aside.hold_back(&mut new);
    batch.append(new);
    for locked in &step.locked {
        let mut free = batch.locks();
        free.remove(&locks_of(locked));
        let mut locked = batch.locks();
        locked.remove(&free);
        aside.put_locked(&mut batch, locked, step.most);
    }
    batch.fail_all(State::Open, &StoreError::Closed);
    batch.send_settled(&Notify::new());
}

proptest! {
    #[test]
    fn what_is_put_aside_keeps_its_order_and_nothing_is_lost(steps in steps(2)) {
        let (mut aside, mut all, mut callers) = (Aside::new(), vec![], vec![]);
        let written = Arc::new(Mutex::new(vec![]));
        for step in steps {
            let queued = step.queued.iter().map(|(kind, users)| {
                let (number, users, written) = (all.len(), users.clone(), Arc::clone(&written));
                all.push((*kind, users.clone()));
                let (caller, result) = oneshot::channel();
                callers.push(result);
                if *kind {
                    let noted = Noted::<true> { users, number, written };
                    Box::new(Waiting::new(noted, None, caller)) as Box<dyn Queued>
                } else {
                    let noted = Noted::<false> { users, number, written };
                    Box::new(Waiting::new(noted, None, caller))
                }
            });
            write(&mut aside, Batch::of(queued), &step);
        }
        let (queued, locked) = (vec![], vec![]);
        let last = Step { queued, locked, most: usize::MAX, is_due: true };
        write(&mut aside, Batch::default(), &last);
        let written = written.lock().unwrap();
        prop_assert_eq!(written.len(), all.len());
        for (index, later) in written.iter().enumerate() {
            for earlier in written[index..].iter().filter(|earlier| *earlier < later) {
                let (one, other) = (&all[*earlier], &all[*later]);
                prop_assert!(one.0 != other.0 || one.1.is_disjoint(&other.1));
            }
        }
    }

    #[test]
    fn nobody_is_aside_who_is_not_locked(steps in steps(1)) {
        let (mut aside, mut callers) = (Aside::new(), vec![]);
        for mut step in steps {
            let queued = step.queued.iter().map(|(_, users)| {
                let (caller, result) = oneshot::channel();
                callers.push(result);
                let (users, written) = (users.clone(), Arc::default());
                let noted = Noted::<true> { users, number: 0, written };
                Box::new(Waiting::new(noted, None, caller)) as Box<dyn Queued>
            });
            let new = Batch::of(queued);
            (step.most, step.is_due) = (usize::MAX, true);
            write(&mut aside, new, &step);
            let mut others = aside.batch.locks();
            for locked in &step.locked {
                others.remove(&locks_of(locked));
            }
            prop_assert!(others.is_empty(), "{others:?}");
        }
    }
}

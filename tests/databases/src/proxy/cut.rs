//! What is to be cut, and when.

use std::sync::{Arc, Mutex, Weak};

use tokio::sync::watch;

use super::message::Message;

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the message is passed on.
    Before,
    /// When the server has answered the message, and before any of the answer is passed on.
    Answered,
}

type Which = Box<dyn Fn(&Message) -> bool + Send + Sync>;

struct Rule {
    moment: Moment,
    which: Which,
    /// Taken by the message that it wants.
    is_taken: Mutex<bool>,
    done: watch::Sender<Option<Message>>,
}

/// A cut that is to happen once. Dropping it before that calls it off.
pub struct Cut {
    rule: Arc<Rule>,
}

impl Cut {
    /// The message at which it has happened.
    #[must_use]
    pub fn done(&self) -> Option<Message> {
        self.rule.done.borrow().clone()
    }

    /// Waits for it.
    pub async fn wait(&self) -> Message {
        let mut done = self.rule.done.subscribe();
        let done = done.wait_for(Option::is_some).await.unwrap();
        done.clone().unwrap()
    }
}

/// Those of a proxy.
#[derive(Default)]
pub(super) struct Cuts {
    rules: Mutex<Vec<Weak<Rule>>>,
}

impl Cuts {
    pub(super) fn add(
        &self,
        moment: Moment,
        which: impl Fn(&Message) -> bool + Send + Sync + 'static,
    ) -> Cut {
        let rule = Arc::new(Rule {
            moment,
            which: Box::new(which),
            is_taken: Mutex::new(false),
            done: watch::Sender::new(None),
        });
        let mut rules = self.rules.lock().unwrap();
        rules.retain(|rule| rule.strong_count() > 0);
        rules.push(Arc::downgrade(&rule));
        Cut { rule }
    }

    /// The cut that `message` is to have, if any.
    pub(super) fn take(&self, message: &Message) -> Option<Taken> {
        let rules = self.rules.lock().unwrap();
        let mut rules = rules.iter().filter_map(Weak::upgrade);
        let rule = rules.find(|rule| {
            let mut is_taken = rule.is_taken.lock().unwrap();
            let takes = !*is_taken && (rule.which)(message);
            *is_taken |= takes;
            takes
        })?;
        let message = message.clone();
        Some(Taken { rule, message })
    }
}

/// A cut that is under way.
pub(super) struct Taken {
    rule: Arc<Rule>,
    message: Message,
}

impl Taken {
    pub(super) fn moment(&self) -> Moment {
        self.rule.moment
    }

    pub(super) fn done(self) {
        self.rule.done.send_replace(Some(self.message));
    }
}

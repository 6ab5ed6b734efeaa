//! The queue of shared messages that wait for a session: holds them, and finds the next one to drop.

use std::collections::VecDeque;

use crate::{delivery::Delivery, wire::Qos};

/// In the order in which they came. Those of QoS 0 are found without looking at the others, as they are the first to go when
/// there is no room, and senders wait meanwhile.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    at_0: VecDeque<(u64, Delivery)>,
    above: VecDeque<(u64, Delivery)>,
    /// The number of the next one.
    next: u64,
    bytes: usize,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.at_0.len() + self.above.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.message.size();
        let numbered = (self.next, delivery);
        self.next += 1;
        if numbered.1.message.qos == Qos::AtMostOnce {
            self.at_0.push_back(numbered);
        } else {
            self.above.push_back(numbered);
        }
    }

    /// Drops the oldest at QoS 0. `false`: there is none.
    pub(super) fn drop_at_0(&mut self) -> bool {
        let dropped = self.at_0.pop_front();
        self.dropped(dropped)
    }

    /// Drops the oldest. `false`: there is none.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let dropped = if self.at_0_is_next() {
            self.at_0.pop_front()
        } else {
            self.above.pop_front()
        };
        self.dropped(dropped)
    }

    /// Takes them all.
    pub(super) fn take(&mut self) -> VecDeque<Delivery> {
        let mut all = VecDeque::with_capacity(self.len());
        while !self.is_empty() {
            let first = if self.at_0_is_next() {
                self.at_0.pop_front()
            } else {
                self.above.pop_front()
            };
            all.extend(first.map(|(_, delivery)| delivery));
        }
        // An idle session holds no buffer.
        *self = Self::default();
        all
    }

    /// Takes those that `is_wanted` names.
    pub(super) fn take_those(
        &mut self,
        is_wanted: impl Fn(&Delivery) -> bool,
    ) -> VecDeque<Delivery> {
        let (wanted, left): (VecDeque<_>, VecDeque<_>) =
            self.take().into_iter().partition(is_wanted);
        for delivery in left {
            self.push(delivery);
        }
        wanted
    }

    fn at_0_is_next(&self) -> bool {
        match (self.at_0.front(), self.above.front()) {
            (Some((at_0, _)), Some((above, _))) => at_0 < above,
            (at_0, _) => at_0.is_some(),
        }
    }

    fn dropped(&mut self, dropped: Option<(u64, Delivery)>) -> bool {
        if let Some((_, delivery)) = &dropped {
            self.bytes -= delivery.message.size();
        }
        dropped.is_some()
    }
}

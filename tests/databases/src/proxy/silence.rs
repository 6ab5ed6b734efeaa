//! Connections that say nothing any more.

use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

/// Makes the connections of a proxy silent. Those that come later are not.
#[derive(Clone, Default)]
pub struct Silence {
    of_those_there: Arc<Mutex<CancellationToken>>,
}

impl Silence {
    /// Makes those silent that there are by now: nothing that is sent on them arrives, and they stay open. A message at which this
    /// is called arrives still.
    pub fn begin(&self) {
        std::mem::take(&mut *self.of_those_there.lock().unwrap()).cancel();
    }

    /// Says later whether a connection that begins now is silent.
    pub(super) fn of_new(&self) -> CancellationToken {
        self.of_those_there.lock().unwrap().clone()
    }
}

//! What libraries may say.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Keeps the TRACE of libraries out of the log, whatever is asked for: they show there what goes over the wire, passwords
/// and messages included.
pub(super) struct Libraries;

impl<S: Subscriber> Layer<S> for Libraries {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() < Level::TRACE || metadata.target().starts_with("herald")
    }
}

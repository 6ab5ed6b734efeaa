//! How a message ends.

use crate::Status;

/// How a message ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was processed.
    Processed {
        /// What it became.
        result: String,
    },
    /// It failed for good.
    Dead {
        /// Why; its owner reads this.
        error: String,
    },
}

impl Outcome {
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Processed { .. } => Status::Processed,
            Self::Dead { .. } => Status::Dead,
        }
    }

    pub(crate) fn result(&self) -> Option<&str> {
        match self {
            Self::Processed { result } => Some(result),
            Self::Dead { .. } => None,
        }
    }

    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Processed { .. } => None,
            Self::Dead { error } => Some(error),
        }
    }
}

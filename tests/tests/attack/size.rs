//! How large an attack is.

use std::{env, time::Duration};

/// How large attacks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// For the test run.
    Small,
    /// For `cargo xtask attack`.
    Full,
}

impl Size {
    /// The size that `HERALD_ATTACK` asks for: small unless it is `full`.
    pub(crate) fn from_env() -> Self {
        match env::var("HERALD_ATTACK").as_deref() {
            Err(_) | Ok("small") => Self::Small,
            Ok("full") => Self::Full,
            Ok(other) => panic!("HERALD_ATTACK is small or full, not {other}"),
        }
    }

    /// One of two sizes.
    pub(crate) fn pick<T>(self, small: T, full: T) -> T {
        match self {
            Self::Small => small,
            Self::Full => full,
        }
    }

    /// For how long the neighbours are watched, once without the attack and once with it.
    pub(crate) fn watch(self) -> Duration {
        self.pick(Duration::from_secs(2), Duration::from_secs(15))
    }
}

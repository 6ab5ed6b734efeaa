//! The section `[retention]`.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// The longest that anything is kept, but for ever, in days: a hundred years.
const MAX_DAYS: u32 = 36_500;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    pub(crate) days: u32,
    pub(crate) audit_days: u32,
    pub(crate) audit_entries: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            days: 30,
            audit_days: 90,
            audit_entries: 1_000_000,
        }
    }
}

impl Retention {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let days = [("days", self.days), ("audit_days", self.audit_days)];
        match days.into_iter().find(|(_, days)| *days > MAX_DAYS) {
            Some((key, _)) => Err(ConfigError(format!("retention.{key}: at most {MAX_DAYS}"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Retention)) -> String {
        let mut retention = Retention::default();
        change(&mut retention);
        retention.check().unwrap_err().to_string()
    }

    #[test]
    fn a_time_of_over_a_hundred_years_is_named() {
        assert_eq!(
            refused(|r| r.days = 36_501),
            "retention.days: at most 36500"
        );
        assert_eq!(
            refused(|r| r.audit_days = 36_501),
            "retention.audit_days: at most 36500"
        );
    }
}

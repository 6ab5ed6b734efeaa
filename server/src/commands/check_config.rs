use super::print;
use crate::config::Config;

/// Prints the configuration in force. Loading it was the check.
pub(crate) fn check_config(config: &Config) -> anyhow::Result<()> {
    print(toml::to_string_pretty(config)?)?;
    Ok(())
}

use super::print;
use crate::{config::Config, tls};

/// Checks what loading the configuration did not, and prints what is in force.
pub(crate) fn check_config(config: &Config) -> anyhow::Result<()> {
    tls::check(config)?;
    print(toml::to_string_pretty(config)?)?;
    Ok(())
}

use crate::config::Config;

/// Prints the configuration in force. Loading it was the check.
pub(crate) fn check_config(config: &Config) -> anyhow::Result<()> {
    println!("{}", toml::to_string_pretty(config)?);
    Ok(())
}

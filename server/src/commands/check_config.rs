use super::print;
use crate::{
    config::{Config, DatabaseLocation},
    tls,
};

/// Checks what loading the configuration did not, and prints what is in force. Connects to a database server; makes nothing.
pub(crate) async fn check_config(config: &Config) -> anyhow::Result<()> {
    tls::check(config)?;
    print(toml::to_string_pretty(config)?)?;
    if let DatabaseLocation::Server(url) = config.database_location()? {
        let facts = herald_store::examine_server(&url).await?;
        print(format_args!("# the database server is {}", facts.version))?;
        for warning in facts.warnings {
            print(format_args!("# warning: {warning}"))?;
        }
    }
    Ok(())
}

//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use herald_acl::Username;
use herald_store::{DatabaseUrl, Timestamp};

/// Sends a user's message to the background and tells exactly that user when it is done.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    /// `serve` if left out.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Where the configuration comes from.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// The configuration file; `herald.toml`, if it exists, when left out.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the database, the certificates and `run.json` are; overrides `data_dir`.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything; makes the database, the certificates and the first administrator on first start.
    Serve,
    /// Validate the configuration and print what is in force.
    CheckConfig,
    /// Print where the local certificate authority is and how to trust it.
    Ca,
    /// Accounts, on the server's own database; the server may be running.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Access tokens, on the server's own database; the server may be running.
    #[command(subcommand)]
    Token(TokenCommand),
    /// The queue, on the server's own database; the server may be running.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// List the servers that share the database: id, machine, version, since when, and until when each is known to be there.
    Nodes,
    /// Have the server that runs on this data directory send its clients to the other servers of the database, and stop; wait for
    /// its end. SIGTERM does the same.
    Drain,
    /// Write a copy of the database to the new file FILE; the server may be running.
    Backup { file: PathBuf },
    /// Put the database FILE, a backup, into the place of the server's own, which is kept beside it. The server must not be
    /// running. Inboxes begin a new epoch: clients read them from the start.
    Restore { file: PathBuf },
    /// Copy all that a stopped server has to an empty database, as from a file to PostgreSQL, and compare the two row by row.
    /// If it is interrupted, run it again: it begins anew.
    #[command(after_help = MIGRATE_EXAMPLE)]
    Migrate(MigrateArgs),
}

const MIGRATE_EXAMPLE: &str = "\
Example, for a server that is stopped and has its database in the data directory:
  herald migrate --data-dir /var/lib/herald \\
    --to 'postgres://herald@db.example/herald?sslmode=verify-full' --to-password-file /etc/herald/database-password
Then set database.url and database.password_file to the same, and start the server.";

/// Between which databases `migrate` copies.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The database that is copied, written as in database.url; that of the configuration if left out. It is only read.
    #[arg(long, value_name = "URL")]
    pub(crate) from: Option<DatabaseUrl>,
    /// The database that is copied to; it has to be empty, and a file is made.
    #[arg(long, value_name = "URL")]
    pub(crate) to: DatabaseUrl,
    /// A file with the password for --from. For the URL of the configuration, its database.password_file serves.
    #[arg(long, value_name = "FILE")]
    pub(crate) from_password_file: Option<PathBuf>,
    /// The same for --to.
    #[arg(long, value_name = "FILE")]
    pub(crate) to_password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Say how many messages there are of each status, how long the first one has been due, and whether the queue is paused.
    Status,
    /// Take up no message any more; sends are accepted.
    Pause,
    /// Go on.
    Resume,
    /// Put dead messages back into the queue: all, or those that the options leave. They have all their attempts again.
    Retry {
        /// Only those of this account.
        #[arg(long, value_name = "NAME")]
        user: Option<Username>,
        /// Only those that died then or later, such as 2026-11-22T10:00:00Z.
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// Only those that died before.
        #[arg(long, value_name = "TIME")]
        to: Option<Timestamp>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Create an account. The password is asked for, or read from standard input.
    Create {
        name: Username,
        /// Make it an administrator.
        #[arg(long)]
        admin: bool,
    },
    /// Set a new password, which is asked for, or read from standard input.
    ResetPassword { name: Username },
    /// List the accounts.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token of the account NAME and print it, this once.
    Create {
        name: Username,
        /// What it may be used for.
        #[arg(long, value_delimiter = ',', default_value = "api,mqtt")]
        scope: Vec<ScopeArg>,
        /// How long it is valid, such as 12h or 30d; for ever if left out.
        #[arg(long, value_parser = duration, value_name = "TIME")]
        expires: Option<Duration>,
    },
    /// List the tokens of all accounts.
    List,
    /// Revoke the token ID.
    Revoke { id: String },
}

/// One use of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeArg {
    Api,
    Mqtt,
}

/// A whole number of seconds, minutes, hours or days: `90s`, `15m`, `12h`, `30d`.
fn duration(text: &str) -> Result<Duration, String> {
    let error = || format!("'{text}' is not a time such as 12h or 30d");
    let (digits, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(error)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(error()),
    };
    let count: u32 = digits.parse().map_err(|_| error())?;
    if count == 0 {
        return Err("a token must be valid for some time".into());
    }
    Ok(Duration::from_secs(u64::from(count) * seconds))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "d", "30", "-1d", "0h", "1w", "ü", "99999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}

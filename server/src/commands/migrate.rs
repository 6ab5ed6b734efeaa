//! Moving to another database.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{anyhow, bail};
use herald_store::{DatabaseUrl, TransferError, TransferProgress, TransferStep, transfer_database};

use super::print;
use crate::{
    cli::MigrateArgs,
    config::{Config, ConfigError, DatabaseLocation},
    data_dir, logging,
};

/// How often a long table says how far it has come.
const EVERY: Duration = Duration::from_secs(1);

/// Copies all that the one database has to the other.
pub(crate) async fn migrate(config: &Config, args: &MigrateArgs) -> anyhow::Result<()> {
    let own = args.from.is_none();
    let from = args.from.as_ref().unwrap_or(&config.database.url);
    let from = location(config, "from", from, args.from_password_file.as_deref());
    // What the configuration says is not an option's to be wrong about.
    let from = from.map_err(|e| {
        if own {
            config.database_location().err().unwrap_or(e)
        } else {
            e
        }
    })?;
    let to = location(config, "to", &args.to, args.to_password_file.as_deref())?;
    if let DatabaseLocation::File(file) = &from
        && !file.is_file()
    {
        bail!(
            "there is no database at {}; is this the right folder, and --data-dir or --from?",
            file.display()
        );
    }
    let _locks = match from == to {
        true => [None, None, None],
        false => [lock_data_dir(config, &from)?, lock(&from)?, lock(&to)?],
    };
    let (from, to) = (from.options().url, to.options().url);
    let mut progress = ProgressLines::default();
    let copied = transfer_database(from.clone(), to.clone(), async |one| progress.follow(one));
    let copied = copied.await.map_err(in_options)?;
    print(format_args!(
        "copied {} rows to {to}, among them {} messages and {} inboxes with {} notifications; both databases were compared and \
         have the same",
        copied.rows(),
        copied.rows_of("messages"),
        copied.rows_of("inboxes"),
        copied.rows_of("notifications"),
    ))?;
    print(format_args!(
        "set database.url to it before you start the server, and start none on {from} any more: what is sent there is not here"
    ))?;
    Ok(())
}

fn location(
    config: &Config,
    option: &str,
    url: &DatabaseUrl,
    password_file: Option<&Path>,
) -> Result<DatabaseLocation, ConfigError> {
    let location = config.location_of(url, password_file);
    location.map_err(|ConfigError(text)| ConfigError(as_option(&text, option)))
}

/// A text about the configuration as one about an option.
fn as_option(text: &str, option: &str) -> String {
    let text = text.replace("database.url", &format!("--{option}"));
    text.replace(
        "database.password_file",
        &format!("--{option}-password-file"),
    )
}

/// What is wrong with a database is put right in the options, not in the configuration.
fn in_options(error: TransferError) -> anyhow::Error {
    let text = error.to_string();
    let text = text.replace("database.url", "--from or --to");
    anyhow!(text.replace("database.password_file", "the password file"))
}

/// Takes the data directory, as a server does, if its database is the one that is copied: so none begins meanwhile.
fn lock_data_dir(
    config: &Config,
    from: &DatabaseLocation,
) -> anyhow::Result<Option<data_dir::Lock>> {
    let is_own = config.database_location().is_ok_and(|own| own == *from);
    // There is none where no server has run.
    match is_own && config.data_dir.is_dir() {
        true => data_dir::lock(&config.data_dir).map(Some),
        false => Ok(None),
    }
}

/// Takes a database file for this process, as a server does.
fn lock(location: &DatabaseLocation) -> anyhow::Result<Option<data_dir::Lock>> {
    match location {
        DatabaseLocation::File(file) => data_dir::lock_database(file).map(Some),
        DatabaseLocation::Server(_) => Ok(None),
    }
}

/// Lines on standard error that say how far it has come.
#[derive(Default)]
struct ProgressLines {
    last: Option<Instant>,
}

impl ProgressLines {
    fn follow(&mut self, progress: TransferProgress) {
        let TransferProgress {
            step,
            table,
            rows,
            all,
        } = progress;
        let now = Instant::now();
        let last = *self.last.get_or_insert(now);
        if rows == all && all > 0 {
            let done = match step {
                TransferStep::Copying => "copied",
                TransferStep::Comparing => "compared",
            };
            let rows = if all == 1 { "row" } else { "rows" };
            logging::write_line(&format!("{done} {table}: {all} {rows}"));
        } else if rows > 0 && now.duration_since(last) >= EVERY {
            let doing = match step {
                TransferStep::Copying => "copying",
                TransferStep::Comparing => "comparing",
            };
            let percent = rows * 100 / all.max(1);
            logging::write_line(&format!(
                "{doing} {table}: {rows} of {all} rows ({percent} %)"
            ));
        } else {
            return;
        }
        self.last = Some(now);
    }
}

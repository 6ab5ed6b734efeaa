//! Sends that are on disk when they are answered, by how many wait at once.

use std::{path::Path, time::Instant};

use anyhow::bail;
use futures_util::{StreamExt as _, stream};
use herald_acl::{Role, Username};
use herald_store::{Accepted, CreateUser, Store, Timestamp, UserId};

use crate::{
    databases::{Database, Made},
    disk,
    figures::{Shown, median},
    process::own_cpu,
};

/// Syncs measured.
const SYNCS: usize = 200;

/// How many wait at once, and how many are sent.
const LOADS: [(usize, u32); 3] = [(1, 1_000), (16, 10_000), (256, 40_000)];

/// A store with an account.
struct Opened<'a> {
    database: &'a Database,
    store: Store,
    user: UserId,
    // It goes after the store.
    _made: Made,
}

/// One load, once.
struct Figures {
    /// Sends a second.
    rate: f64,
    /// Processor time for one send, in microseconds: of this process, and of the database server.
    own_cpu: f64,
    database_cpu: Option<f64>,
}

/// Measures all databases in turns.
pub(crate) async fn run(dir: &Path, rounds: usize, databases: &[Database]) -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(dir)?;
    let syncs = disk::fdatasyncs(dir.path(), SYNCS)?;
    let sync = syncs.iter().sum::<f64>() / SYNCS as f64;
    println!("fdatasync of {} bytes: {sync:.2} ms\n", disk::BYTES);
    let mut opened = Vec::with_capacity(databases.len());
    for database in databases {
        opened.push(open(database, dir.path()).await?);
    }
    println!(
        "{:>10} {:>10} {:>12} {:>12} {:>22} {:>12} {:>15}",
        "at once",
        "database",
        "sends/s",
        "by sqlite's",
        "sends per fdatasync",
        "CPU us/send",
        "database us/send"
    );
    for (at_once, sends) in LOADS {
        let mut measured: Vec<Vec<Figures>> = opened.iter().map(|_| vec![]).collect();
        for _ in 0..rounds {
            for (opened, measured) in opened.iter().zip(&mut measured) {
                measured.push(opened.measure(at_once, sends).await?);
            }
        }
        for (opened, rounds) in opened.iter().zip(&measured) {
            print(at_once, opened.database, rounds, &measured[0], sync);
        }
    }
    for opened in opened {
        opened.store.close().await;
    }
    Ok(())
}

fn print(at_once: usize, database: &Database, rounds: &[Figures], files: &[Figures], sync: f64) {
    let of = |figure: fn(&Figures) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    let ratios = rounds
        .iter()
        .zip(files)
        .map(|(one, file)| one.rate / file.rate);
    let database_cpu: Vec<f64> = rounds.iter().filter_map(|f| f.database_cpu).collect();
    let rate = of(|f| f.rate);
    println!(
        "{at_once:>10} {:>10} {rate:>12.0} {:>12.2} {:>22.1} {:>12.1} {:>15}",
        database.name,
        median(&ratios.collect::<Vec<_>>()),
        sync / 1e3 * rate,
        of(|f| f.own_cpu),
        Shown::median_of(&database_cpu, 1)
    );
}

async fn open<'a>(database: &'a Database, dir: &Path) -> anyhow::Result<Opened<'a>> {
    let made = database.make(dir).await;
    let store = made.open().await?;
    let alice = Username::parse("alice")?;
    let created = store
        .create_user(&alice, Role::User, "-", Timestamp::now())
        .await?;
    let CreateUser::Created(user) = created else {
        bail!("a new database has no accounts");
    };
    Ok(Opened {
        database,
        store,
        user: user.id,
        _made: made,
    })
}

impl Opened<'_> {
    async fn measure(&self, at_once: usize, sends: u32) -> anyhow::Result<Figures> {
        let (cpu, database_cpu) = (own_cpu()?, self.database.cpu()?);
        let start = Instant::now();
        send(&self.store, &self.user, at_once, sends).await?;
        let elapsed = start.elapsed();
        Ok(Figures {
            rate: f64::from(sends) / elapsed.as_secs_f64(),
            own_cpu: (own_cpu()? - cpu).as_secs_f64() * 1e6 / f64::from(sends),
            database_cpu: self.database.cpu_each(database_cpu, sends.into())?,
        })
    }
}

async fn send(store: &Store, user: &UserId, at_once: usize, sends: u32) -> anyhow::Result<()> {
    let mut answers = stream::iter(0..sends)
        .map(|i| store.accept(user, format!("message {i}"), None, Timestamp::now()))
        .buffer_unordered(at_once);
    while let Some(answer) = answers.next().await {
        if !matches!(answer?, Accepted::New(_)) {
            bail!("a send without a key is always new");
        }
    }
    Ok(())
}

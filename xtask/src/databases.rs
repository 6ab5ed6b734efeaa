//! `cargo xtask databases`.

use std::{env, process::Command, thread};

use anyhow::{Result, bail};
use herald_test_servers::CHOSEN;

use crate::{
    database::{Database, Servers, listed},
    setup,
    step::step,
};

/// Runs what stands behind `--` with servers, or keeps them until this process is ended.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (list, command) = match args {
        [list, rest @ ..] if list != "--" => (listed(list)?, rest),
        rest => (Database::ALL.to_vec(), rest),
    };
    let command = match command {
        [] => None,
        [dashes, command @ ..] if dashes == "--" && !command.is_empty() => Some(command),
        _ => bail!("usage: cargo xtask databases [postgres,mariadb] [-- COMMAND...]"),
    };
    setup::servers(&list)?;
    let servers = Servers::start(&list, &env::temp_dir())?;
    if let Some([program, args @ ..]) = command {
        let mut command = Command::new(program);
        command.args(args);
        // SQLite needs no server.
        servers.hand_to(&mut command);
        command.env_remove(CHOSEN);
        return step(program, &mut command);
    }
    for server in &servers.servers {
        println!("export {}={}", server.kind().variable(), server.url());
    }
    loop {
        thread::park();
    }
}

//! `cargo xtask smoke`: the end-to-end tests that every database has to bear, on servers.

use std::env;

use anyhow::Result;

use crate::{
    database::{Database, Servers, fast_folder, listed},
    setup,
    step::{Cargo, step},
};

/// The test programs.
const PROGRAMS: [&str; 2] = ["smoke", "torture"];

/// The tests that are run on several servers, too, which do nothing to a server but talk to it.
const ON_NODES: [&str; 3] = ["--", "matrix::", "isolation::"];

/// Says which database they use.
const DATABASE: &str = "HERALD_E2E_DATABASE";

/// How often the server is killed unless this says otherwise. Files are tested with more.
const ROUNDS: &str = "HERALD_TORTURE_ROUNDS";
const FEW_ROUNDS: &str = "20";

/// Runs them on the servers of a list, which are all without one; the other `args` go to `cargo test`.
pub(crate) fn run(cargo: &Cargo, args: &[String]) -> Result<()> {
    let (mut databases, args) = match args {
        [list, rest @ ..] if !list.starts_with('-') => (listed(list)?, rest),
        rest => (Database::ALL.to_vec(), rest),
    };
    databases.retain(|database| database.server().is_some());
    setup::run(&databases)?;
    cargo.build_herald()?;
    let servers = Servers::start(&databases, &fast_folder())?;
    on(cargo, &servers, args)
}

/// Runs them on each of `servers`.
pub(crate) fn on(cargo: &Cargo, servers: &Servers, args: &[String]) -> Result<()> {
    for kind in servers.servers.iter().map(|server| server.kind()) {
        // As the other tests are built.
        let mut test = cargo.command(["test", "--workspace"]);
        for program in PROGRAMS {
            test.args(["--test", program]);
        }
        test.args(args);
        servers.hand_to(&mut test);
        test.env(DATABASE, kind.name());
        if env::var_os(ROUNDS).is_none() {
            test.env(ROUNDS, FEW_ROUNDS);
        }
        step(&format!("smoke on {kind}"), &mut test)?;
        // What everyone may and sees does not depend on the server that is asked.
        let mut test =
            cargo.command(["test", "--workspace", "--test", "access", "--test", "smoke"]);
        test.args(args).args(ON_NODES);
        servers.hand_to(&mut test);
        test.env(DATABASE, kind.name()).env("HERALD_E2E_NODES", "3");
        step(&format!("smoke on 3 servers on {kind}"), &mut test)?;
    }
    Ok(())
}

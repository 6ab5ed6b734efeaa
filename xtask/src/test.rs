//! `cargo xtask test`.

use anyhow::Result;

use crate::{
    database::{self, Database, Servers},
    lint, runner, setup, smoke,
    step::{Cargo, step},
    web,
};

/// What does not choose tests.
const HOW: [&str; 4] = ["--frozen", "--locked", "--no-fail-fast", "--offline"];

/// `args` go to `cargo test`, but for `--databases LIST`.
pub(crate) fn run(cargo: &Cargo, args: &[String]) -> Result<()> {
    let (databases, args) = database::chosen(args)?;
    setup::run(&databases)?;
    lint::run(cargo)?;
    web::test()?;
    let is_whole = args.iter().all(|arg| HOW.contains(&arg.as_str()));
    if !is_whole {
        // All tests together build it, for those of its package.
        cargo.build_herald()?;
    }
    let servers = Servers::start(&databases, &database::fast_folder())?;
    let mut test = runner::test(cargo)?;
    test.args(&args);
    servers.hand_to(&mut test);
    let tested = step("test", &mut test);
    for database in Database::ALL {
        if !databases.contains(&database) {
            println!("not tested: {database}, which --databases leaves out");
        }
    }
    tested?;
    if is_whole {
        smoke::on(cargo, &servers, &args)
    } else {
        println!("not run: smoke, as arguments choose the tests");
        Ok(())
    }
}

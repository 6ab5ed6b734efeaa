//! Measures Herald beside something that gives the figures a meaning. Release builds only:
//! `cargo run --release -p herald-bench -- acl`.

mod acl;
mod machine;
mod store;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Measures Herald; prints the machine's facts with every figure")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One ACL decision on policies of growing size.
    Acl,
    /// Durable sends through the store, beside the disk's own fdatasync.
    Store {
        /// Where the database is made and removed; it should be on the disk that matters.
        #[arg(long, default_value = ".")]
        dir: std::path::PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if cfg!(debug_assertions) {
        anyhow::bail!("this is a debug build; use cargo run --release -p herald-bench");
    }
    println!("{}\n", machine::facts());
    match cli.command {
        Command::Acl => acl::run(),
        Command::Store { dir } => store::run(&dir).await,
    }
}

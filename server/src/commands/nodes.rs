use herald_store::Node;

use super::{print, store};
use crate::{
    config::{Config, DatabaseLocation},
    nodes::machine,
    run_file::Running,
    shown::shown,
};

/// Lists the servers that share the database; of a file the one that has it, if it runs.
pub(crate) async fn nodes(config: &Config) -> anyhow::Result<()> {
    if let DatabaseLocation::File(_) = config.database_location()? {
        if let Some(running) = Running::read(&config.data_dir)? {
            let since = running.since;
            let (pid, version) = (running.pid, shown(&running.version).to_string());
            let name = shown(&machine()).to_string();
            print(format_args!(
                "process {pid}\t{name}\t{version}\tsince {since}\tno lease: the database is a file"
            ))?;
        }
        return Ok(());
    }
    let store = store(config).await?;
    let nodes = store.nodes().await;
    store.close().await;
    for node in nodes? {
        print(line(&node))?;
    }
    Ok(())
}

fn line(node: &Node) -> String {
    let lease = if node.stands {
        format!("lease until {}", node.lease_until)
    } else {
        format!("gone since {}", node.lease_until)
    };
    format!(
        "{}\t{}\t{}\tsince {}\t{lease}",
        node.id,
        shown(&node.name),
        shown(&node.version),
        node.started_at
    )
}

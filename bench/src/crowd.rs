//! Many clients that do the same, some at once.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use crate::{
    client::{Client, Login},
    transport::Target,
};

/// Clients that do something at the same time.
const AT_ONCE: usize = 64;

/// How long a crowd may take; who has not begun by then stays out.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client, and who it is.
pub(crate) type Signed = (Client, Login);

/// Opens a connection.
pub(crate) async fn open(target: Arc<Target>, login: Login) -> anyhow::Result<Signed> {
    Ok((Client::open(&target).await?, login))
}

/// Signs in.
pub(crate) async fn connect((mut client, login): Signed) -> anyhow::Result<Signed> {
    client.connect(&login).await?;
    Ok((client, login))
}

/// Subscribes to the client's own inbox at QoS 1.
pub(crate) async fn subscribe((mut client, login): Signed) -> anyhow::Result<Signed> {
    let inbox = format!("users/{}/notifications", login.name);
    client.subscribe(&inbox, 1).await?;
    Ok((client, login))
}

/// Does `work` with each of `items`, some at once, and returns the results, or the first failure.
pub(crate) async fn for_each<I, O, F>(
    items: Vec<I>,
    work: impl Fn(I) -> F + Clone + Send + 'static,
) -> Vec<O>
where
    I: Send + 'static,
    O: Send + 'static,
    F: Future<Output = anyhow::Result<O>> + Send,
{
    let total = items.len();
    let mut parts: Vec<Vec<I>> = (0..AT_ONCE).map(|_| vec![]).collect();
    for (i, item) in items.into_iter().enumerate() {
        parts[i % AT_ONCE].push(item);
    }
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for part in parts {
        let work = work.clone();
        tasks.spawn(async move {
            let (mut done, mut failure) = (vec![], None);
            for item in part {
                if start.elapsed() > PATIENCE {
                    break;
                }
                match work(item).await {
                    Ok(output) => done.push(output),
                    Err(e) => failure = Some(e),
                }
            }
            (done, failure)
        });
    }
    let (mut done, mut failure) = (Vec::with_capacity(total), None);
    while let Some(part) = tasks.join_next().await {
        if let Ok((part, failed)) = part {
            done.extend(part);
            failure = failure.or(failed);
        }
    }
    let missing = total - done.len();
    match failure {
        Some(failure) => println!("  {missing} of {total} failed, one of them: {failure:#}"),
        None if missing > 0 => println!("  {missing} of {total} did not begin in time"),
        None => {}
    }
    done
}

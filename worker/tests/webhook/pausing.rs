//! The webhook and the worker together: what is not sent to a dead endpoint uses up no attempt.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use herald_store::{MessageId, Status};
use herald_worker::{
    Event, Processor as _, Retries, Webhook, WebhookOptions, Worker, WorkerOptions,
};
use tokio::{net::TcpSocket, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    jobs::{LIMIT, Queue, options, webhook},
    server::{Server, answer, ok},
};

/// Failures in a row that open the breaker.
const FAILURES: usize = 5;

/// A worker with room for 16 whose webhook takes `concurrency`.
struct Working {
    stop: CancellationToken,
    task: JoinHandle<()>,
    finished: mpsc::Receiver<()>,
    put_back: mpsc::Receiver<()>,
}

impl Working {
    fn start(queue: &Queue, url: &str, concurrency: u32) -> Self {
        let webhook = Webhook::new(WebhookOptions {
            concurrency: concurrency.try_into().unwrap(),
            ..options(url)
        });
        let (sender, finished) = mpsc::channel(1024);
        let (again, put_back) = mpsc::channel(1024);
        let tell = move |event: Event<'_>| match event {
            Event::Finished(_) => sender.try_send(()).unwrap(),
            Event::Again { .. } => again.try_send(()).unwrap(),
            _ => {}
        };
        let options = WorkerOptions {
            concurrency: 16,
            lease: Duration::from_secs(30),
            time_limit: LIMIT,
            retries: Retries {
                max_attempts: 1,
                backoff: Duration::ZERO,
            },
            grace: LIMIT,
        };
        let stop = CancellationToken::new();
        let worker = Worker::new(
            queue.store.clone(),
            Arc::new(webhook.unwrap()),
            options,
            Arc::new(tell),
        );
        Self {
            task: tokio::spawn(worker.run(stop.clone())),
            stop,
            finished,
            put_back,
        }
    }

    async fn finished(&mut self, count: usize) {
        for _ in 0..count {
            timeout(LIMIT, self.finished.recv()).await.unwrap().unwrap();
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(LIMIT, self.task).await.unwrap().unwrap();
    }
}

/// The status of each of these, and how often it was claimed.
async fn states(queue: &Queue, ids: &[MessageId]) -> Vec<(Status, i64)> {
    let all = ids
        .iter()
        .map(|id| queue.store.message(&queue.alice.id, id));
    let all = join_all(all).await.into_iter();
    all.map(|message| message.unwrap().unwrap())
        .map(|message| (message.status, message.attempts))
        .collect()
}

async fn sent(queue: &Queue, count: usize) -> Vec<MessageId> {
    let mut ids = vec![];
    for number in 0..count {
        ids.push(queue.send(&number.to_string()).await);
    }
    ids
}

fn count(states: &[(Status, i64)], state: (Status, i64)) -> usize {
    states.iter().filter(|s| **s == state).count()
}

#[tokio::test]
async fn messages_wait_unclaimed_while_the_endpoint_is_dead_and_go_once_it_is_back() {
    let back = Arc::new(AtomicBool::new(false));
    let answers = back.clone();
    let server = Server::start(move |_| match answers.load(Ordering::SeqCst) {
        true => ok("done"),
        false => answer(503, "", ""),
    })
    .await;
    let queue = Queue::new().await;
    let ids = sent(&queue, 20).await;
    let mut working = Working::start(&queue, &server.url(), 1);
    // The fifth failure shows that it is not the messages that fail: it kills none.
    working.finished(FAILURES - 1).await;
    back.store(true, Ordering::SeqCst);
    working.finished(20 - (FAILURES - 1)).await;
    let states = states(&queue, &ids).await;
    assert_eq!(count(&states, (Status::Dead, 1)), FAILURES - 1);
    assert_eq!(count(&states, (Status::Processed, 1)), 20 - (FAILURES - 1));
    working.stop().await;
}

#[tokio::test]
async fn a_message_outlives_an_endpoint_that_is_not_there_with_a_single_attempt_to_lose() {
    // A port that is taken, and on which nobody listens yet.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    let queue = Queue::new().await;
    let ids = sent(&queue, 3).await;
    let mut working = Working::start(&queue, &url, 1);
    // So many refusals open the breaker, and two probes after that are refused, too.
    for _ in 0..FAILURES + 2 {
        timeout(LIMIT, working.put_back.recv())
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(count(&states(&queue, &ids).await, (Status::Dead, 1)), 0);
    let listener = socket.listen(64).unwrap();
    let _server = Server::start_on(listener, None, |_| ok("done"));
    working.finished(3).await;
    let states = states(&queue, &ids).await;
    assert_eq!(count(&states, (Status::Processed, 1)), 3);
    working.stop().await;
}

#[tokio::test]
async fn a_dead_endpoint_is_asked_once_a_pause() {
    let server = Server::start(|_| answer(500, "", "")).await;
    let queue = Queue::new().await;
    let ids = sent(&queue, 20).await;
    let mut working = Working::start(&queue, &server.url(), 1);
    working.finished(FAILURES - 1).await;
    // The one that opens it, and the probe after the first pause.
    for _ in 0..2 {
        timeout(LIMIT, working.put_back.recv())
            .await
            .unwrap()
            .unwrap();
    }
    working.stop().await;
    assert_eq!(server.asked(), FAILURES + 1);
    let states = states(&queue, &ids).await;
    assert_eq!(
        count(&states, (Status::Queued, 0)),
        20 - (FAILURES - 1),
        "a probe costs no attempt"
    );
}

#[tokio::test]
async fn after_a_pause_one_probe_is_let_through() {
    let server = Server::start(|number| match number < FAILURES {
        true => answer(500, "", ""),
        false => ok("done"),
    })
    .await;
    let webhook = webhook(&server.url());
    assert_eq!(webhook.ready().await.get(), 16);
    for _ in 0..FAILURES {
        crate::jobs::ask(&webhook).await.unwrap_err();
    }
    assert_eq!(timeout(LIMIT, webhook.ready()).await.unwrap().get(), 1);
    crate::jobs::ask(&webhook).await.unwrap();
    assert_eq!(webhook.ready().await.get(), 16);
}

#[tokio::test]
async fn an_endpoint_that_refuses_messages_is_not_dead() {
    let server = Server::start(|_| answer(400, "", "")).await;
    let queue = Queue::new().await;
    sent(&queue, 20).await;
    let mut working = Working::start(&queue, &server.url(), 16);
    working.finished(20).await;
    assert_eq!(server.asked(), 20);
    working.stop().await;
}

#[tokio::test]
async fn no_more_exchanges_are_under_way_than_configured() {
    let server = Server::start(|_| ok("done")).await;
    let queue = Queue::new().await;
    sent(&queue, 60).await;
    let mut working = Working::start(&queue, &server.url(), 3);
    working.finished(60).await;
    assert!(server.highest() <= 3, "{}", server.highest());
    working.stop().await;
}

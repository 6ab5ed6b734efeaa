//! Writes that last.

use tokio::sync::Semaphore;

use super::*;

/// Fails, or waits at a gate.
enum Step {
    Fail,
    Wait(Arc<Semaphore>),
}

impl Operation for Step {
    type Output = ();

    async fn run(&self, _: &mut Transaction<'_>) -> Result<(), StoreError> {
        match self {
            Self::Fail => Err(StoreError::Invalid { what: "row" }),
            Self::Wait(gate) => {
                gate.acquire().await.unwrap().forget();
                Ok(())
            }
        }
    }
}

/// Each has a transaction of its own, as one fails.
#[tokio::test]
async fn what_is_written_is_told_while_others_are_written() {
    let (_dir, store) = store().await;
    let (first, last) = (Arc::new(Semaphore::new(2)), Arc::new(Semaphore::new(0)));
    let mut writes = [
        Step::Wait(Arc::clone(&first)),
        Step::Fail,
        Step::Wait(Arc::clone(&last)),
    ]
    .map(|step| Box::pin(store.write(step)));
    for write in &mut writes {
        assert!(poll!(write).is_pending(), "it is queued");
    }
    let [first, refused, last_write] = writes;
    first.await.unwrap();
    assert!(matches!(refused.await, Err(StoreError::Invalid { .. })));
    last.add_permits(1);
    last_write.await.unwrap();
}

/// It would be written behind the back of who was told that nothing is known.
#[tokio::test]
async fn what_has_its_turn_after_its_caller_stopped_waiting_is_not_written() {
    let (_dir, store) = store().await;
    let gate = Arc::new(Semaphore::new(0));
    let mut before = Box::pin(store.write(Step::Wait(Arc::clone(&gate))));
    assert!(poll!(&mut before).is_pending());
    // The task takes it.
    while !store.is_writer_idle() {
        tokio::task::yield_now().await;
    }
    let by = |after| Some(Instant::now() + after);
    let writes = [by(Duration::ZERO), by(Duration::from_secs(600)), None];
    let writes = (0..).zip(writes).map(|(key, by)| {
        let (key, then) = (key.to_string(), Then::Succeed);
        store.try_write(Insert { key, then }, by)
    });
    let opened = async {
        gate.add_permits(1);
        before.await.unwrap();
    };
    let (results, ()) = tokio::join!(join_all(writes), opened);
    assert!(matches!(results[0], Err(StoreError::Busy)));
    assert!(results[1..].iter().all(Result::is_ok));
    assert_eq!(rows(&store).await, ["1", "2"]);
}

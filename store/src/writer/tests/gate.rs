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

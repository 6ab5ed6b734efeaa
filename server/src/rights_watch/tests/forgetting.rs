//! Users who are to be forgotten.

use super::*;

/// The name of a user must not be free before, and other rights end nonetheless.
#[tokio::test]
async fn a_user_who_is_not_forgotten_yet_holds_back_what_is_known_to_be_in_force() {
    let db = Db::new().await;
    let (_, rights) = RightsWatch::load(&db.store).await.unwrap();
    let (recorder, stop) = (Recorder::default(), CancellationToken::new());
    let (mut in_force, before) = (rights.in_force(), rights.seen);
    let (ann, bob) = (db.user("ann").await, db.user("bob").await);
    db.by_hand("DROP TABLE rights_changes").await;
    db.by_hand("CREATE TABLE rights_changes (id BIGINT PRIMARY KEY, kind, username, token_id, at)")
        .await;
    let now = Timestamp::now();
    let forgotten = db.store.have_forgotten(&ann.username, now);
    forgotten.await.unwrap();
    let new_password = db.store.set_password(&bob.id, "new", None, now);
    assert!(new_password.await.unwrap());
    let running = tokio::spawn(rights.run(recorder.clone(), alone(), stop.clone()));
    let acted = async {
        while recorder.revoked.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, acted).await.unwrap();
    assert_eq!(*recorder.forgotten.lock(), ["ann"]);
    assert_eq!(*in_force.borrow_and_update(), before);
    recorder.may_forget.send_replace(true);
    let all = in_force.wait_for(|last| *last == before + 2);
    timeout(LIMIT, all).await.unwrap().unwrap();
    stop.cancel();
    timeout(LIMIT, running).await.unwrap().unwrap().unwrap();
}

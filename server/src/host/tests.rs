//! What the host keeps for the broker.

use herald_api::SendLimits;
use herald_store::{Accepted, StoreOptions};

use super::*;

async fn host(dir: &std::path::Path) -> Host {
    let options = StoreOptions::sqlite(&dir.join("herald.db"));
    let store = Store::open(options).await.unwrap();
    Host {
        accounts: Arc::new(Accounts::new(store.clone())),
        sends: Arc::new(Sends::new(store.clone(), SendLimits::default())),
        store,
        acks: Arc::default(),
        audit: Arc::default(),
        nodes: TellNodes(None),
    }
}

fn message(topic: &str, expires_at: Option<SystemTime>) -> RetainedMessage {
    RetainedMessage {
        topic: topic.into(),
        payload: Bytes::from_static(b"\0\xff"),
        attributes: "{}".into(),
        expires_at,
    }
}

#[tokio::test]
async fn retained_messages_come_back_as_they_were_given() {
    let dir = tempfile::tempdir().unwrap();
    let host = self::host(dir.path()).await;
    let in_an_hour = Timestamp::now() + Duration::from_secs(3600);
    let kept = [
        message("a", None),
        message("b", Some(system_time(in_an_hour))),
    ];
    let expired = message("c", Some(SystemTime::UNIX_EPOCH));
    let set = kept.iter().cloned().chain([expired, message("d", None)]);
    let changes = set.map(RetainedChange::Set).collect();
    host.save(changes).await.unwrap();
    let topic = "d".into();
    host.save(vec![RetainedChange::Clear { topic }])
        .await
        .unwrap();
    host.store.close().await;

    let host = self::host(dir.path()).await;
    assert_eq!(host.load().await.unwrap(), kept);
}

/// Alice, who has been told of three messages.
async fn alice(host: &Host) -> Identity {
    let (store, now) = (&host.store, Timestamp::now());
    let name = herald_acl::Username::parse("alice").unwrap();
    let role = herald_acl::Role::User;
    let made = store.create_user(&name, role, "hash", now).await.unwrap();
    let herald_store::CreateUser::Created(user) = made else {
        panic!("{made:?}");
    };
    let soon = herald_store::Delay::Fixed { ms: 0 };
    store.set_delay(soon, false).await.unwrap();
    for _ in 0..3 {
        let sent = store.accept(&user.id, "x".into(), None, now).await;
        assert!(matches!(sent, Ok(Accepted::New(_))));
    }
    let lease = Duration::from_secs(60);
    for job in store.claim(3, lease, now).await.unwrap() {
        let result = "x".into();
        let done = herald_store::Outcome::Processed { result };
        assert!(store.finish(&job, done, now).await.unwrap().is_some());
    }
    Identity {
        user_id: user.id.as_str().into(),
        username: user.username,
        role: user.role,
        credential: Credential::Password,
    }
}

async fn acknowledged(host: &Host, alice: &Identity, client_id: Option<&Arc<str>>) -> i64 {
    let position = host.position(alice, client_id).await.unwrap();
    assert_eq!(position.newest, 3);
    position.acknowledged
}

/// Writes what is noted.
async fn write_acks(host: &Host) {
    let stopped = tokio_util::sync::CancellationToken::new();
    stopped.cancel();
    host.acks.clone().run(host.store.clone(), stopped).await;
}

#[tokio::test]
async fn what_was_acknowledged_counts_at_once_and_for_its_own_cursors_alone() {
    let dir = tempfile::tempdir().unwrap();
    let host = self::host(dir.path()).await;
    let alice = alice(&host).await;
    let (phone, tv) = (Arc::from("phone"), Arc::from("tv"));
    assert_eq!(acknowledged(&host, &alice, Some(&phone)).await, 0);
    host.acknowledge(&alice, Some(&phone), 1);
    host.acknowledge(&alice, None, 2);
    for _ in 0..2 {
        assert_eq!(acknowledged(&host, &alice, Some(&phone)).await, 1);
        assert_eq!(acknowledged(&host, &alice, None).await, 2);
        assert_eq!(acknowledged(&host, &alice, Some(&tv)).await, 2);
        write_acks(&host).await;
    }
    let user = user_id(&alice);
    assert_eq!(host.store.position(&user).await.unwrap().acked, Seq(2));
    assert_eq!(host.acks.noted(&user, Some(&phone)), Seq::NONE, "written");
}

#[tokio::test]
async fn a_cursor_that_was_set_back_is_not_carried_on_by_what_was_acknowledged_before() {
    let dir = tempfile::tempdir().unwrap();
    let host = self::host(dir.path()).await;
    let alice = alice(&host).await;
    let phone = Arc::from("phone");
    host.acknowledge(&alice, Some(&phone), 3);
    let set = host.set_position(&alice, &phone, 1).await.unwrap();
    assert_eq!((set.acknowledged, set.newest), (1, 3));
    for _ in 0..2 {
        assert_eq!(acknowledged(&host, &alice, Some(&phone)).await, 1);
        assert_eq!(acknowledged(&host, &alice, None).await, 3);
        write_acks(&host).await;
    }
    host.acknowledge(&alice, Some(&phone), 2);
    write_acks(&host).await;
    assert_eq!(acknowledged(&host, &alice, Some(&phone)).await, 2);
}

/// Nothing that was noted before may be on its way to the database.
#[tokio::test]
async fn no_acknowledgement_is_written_while_a_cursor_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let host = self::host(dir.path()).await;
    let alice = alice(&host).await;
    let (user, phone) = (user_id(&alice), Arc::from("phone"));
    host.acknowledge(&alice, Some(&phone), 3);
    let held = host.acks.forget(&user, &phone).await;
    host.acknowledge(&alice, None, 3);
    let mut writing = std::pin::pin!(write_acks(&host));
    tokio::select! {
        biased;
        () = &mut writing => panic!("it is written"),
        set = host.store.set_cursor(&user, &phone, Seq(1), Timestamp::now()) => {
            assert_eq!(set.unwrap().acked, Seq(1));
        }
    }
    assert_eq!(host.store.position(&user).await.unwrap().acked, Seq::NONE);
    drop(held);
    writing.await;
    assert_eq!(host.store.position(&user).await.unwrap().acked, Seq(3));
    assert_eq!(acknowledged(&host, &alice, Some(&phone)).await, 1);
}

//! Messages, page by page: those of a user, and everyone's.

use herald_store::{MessagePage, Outcome, Status, Store, UserId};

use crate::common::{Db, at, claim_one, notify, processed, send, send_many, user};

/// The bodies of a whole list, read by pages of this size, and of how many.
async fn read(
    store: &Store,
    status: Option<Status>,
    user: Option<&UserId>,
    limit: u32,
) -> (Vec<String>, usize) {
    let (mut bodies, mut pages, mut before) = (vec![], 0, None);
    loop {
        let page = store.all_messages(status, user, before.as_ref(), limit);
        let MessagePage { items, next } = page.await.unwrap();
        assert!(items.len() <= limit as usize);
        bodies.extend(items.into_iter().map(|message| message.body));
        pages += 1;
        match next {
            Some(next) => before = Some(next.to_string().parse().unwrap()),
            None => return (bodies, pages),
        }
    }
}

#[tokio::test]
async fn every_list_is_whole_and_in_its_order_whatever_the_size_of_its_pages() {
    let Db { store, dir: _dir } = Db::new().await;
    let (ann, bob) = (user(&store, "ann").await, user(&store, "bob").await);
    // One of each kind for both, in turn; what is claimed is the only one that is due.
    for n in 0..4 {
        for (user, name) in [(&ann, "ann"), (&bob, "bob")] {
            let body = |status: Status| format!("{name} {} {n}", status.as_str());
            let now = at(10 * n);
            send(&store, &user.id, &body(Status::Processed), now).await;
            let job = claim_one(&store, now).await;
            store.finish(&job, processed(), now).await.unwrap().unwrap();
            send(&store, &user.id, &body(Status::Dead), now).await;
            let job = claim_one(&store, now).await;
            let error = "no".to_owned();
            let dead = store.finish(&job, Outcome::Dead { error }, now).await;
            dead.unwrap().unwrap();
            let message = send(&store, &user.id, &body(Status::Cancelled), now).await;
            store
                .remove_message(&user.id, &message.id, None, now)
                .await
                .unwrap();
            send(&store, &user.id, &body(Status::Processing), now).await;
            claim_one(&store, now).await;
        }
    }
    // At the end, or they would be claimed.
    for n in 0..4 {
        for (user, name) in [(&ann, "ann"), (&bob, "bob")] {
            send(&store, &user.id, &format!("{name} queued {n}"), at(100 + n)).await;
        }
    }
    for limit in [1, 2, 3, 200] {
        for status in Status::ALL {
            let of = |name: &str| -> Vec<String> {
                let body = |n| format!("{name} {} {n}", status.as_str());
                (0..4).rev().map(body).collect()
            };
            for (user, name) in [(&ann, "ann"), (&bob, "bob")] {
                let (bodies, _) = read(&store, Some(status), Some(&user.id), limit).await;
                assert_eq!(bodies, of(name), "{status:?} {limit}");
            }
            let (bodies, pages) = read(&store, Some(status), None, limit).await;
            let expected = if status == Status::Queued {
                // By user: the later one has the greater id.
                [of("bob"), of("ann")].concat()
            } else {
                let pairs = of("bob").into_iter().zip(of("ann"));
                pairs.flat_map(|(bob, ann)| [bob, ann]).collect()
            };
            assert_eq!(bodies, expected, "{status:?} {limit}");
            assert_eq!(pages, 8_usize.div_ceil(limit as usize));
        }
        let (all, _) = read(&store, None, None, limit).await;
        assert_eq!(all.len(), 40);
        assert_eq!(all[0], "bob queued 3");
        assert_eq!(all[39], "ann processed 0");
        let (of_ann, _) = read(&store, None, Some(&ann.id), limit).await;
        assert_eq!(of_ann.len(), 20);
        assert!(of_ann.iter().all(|body| body.starts_with("ann")));
    }
}

#[tokio::test]
async fn a_rare_status_of_a_user_is_found_at_once_behind_many_others() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let rare = send(&store, &ann.id, "rare", at(0)).await;
    store
        .remove_message(&ann.id, &rare.id, None, at(0))
        .await
        .unwrap();
    send_many(&store, &ann.id, 2500).await;
    let (bodies, pages) = read(&store, Some(Status::Cancelled), Some(&ann.id), 10).await;
    assert_eq!((bodies, pages), (vec!["rare".to_owned()], 1));
    let own = store.messages(&ann.id, Some(Status::Cancelled), None, 10);
    assert_eq!(own.await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_page_is_cut_by_the_bytes_that_its_json_has_and_goes_on_behind_them() {
    const PAGE: usize = 1024 * 1024;
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await.id;
    // Each of them six times as long in JSON.
    let body = "\u{1}".repeat(64 * 1024);
    for n in 0..7 {
        send(&store, &ann, &body, at(n)).await;
        let job = claim_one(&store, at(n)).await;
        let result = body.clone();
        let done = store.finish(&job, Outcome::Processed { result }, at(n));
        done.await.unwrap().unwrap();
    }
    let (mut own, mut before) = (0, None);
    loop {
        let page = store.messages(&ann, None, before.as_ref(), 200).await;
        let page = page.unwrap();
        let json = |message: &herald_store::Message| {
            let body = serde_json::to_string(&message.body).unwrap().len();
            body + serde_json::to_string(&message.result).unwrap().len()
        };
        assert!(page.items.iter().map(json).sum::<usize>() <= PAGE);
        own += page.items.len();
        before = page.items.last().map(|message| message.id.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(own, 7);
    for status in [None, Some(Status::Processed)] {
        for of in [None, Some(&ann)] {
            let (bodies, pages) = read(&store, status, of, 200).await;
            assert_eq!((bodies.len(), pages), (7, 7), "{status:?}");
        }
    }
    let (mut seq, mut told) = (herald_store::Seq::NONE, 0);
    loop {
        let page = store.list_notifications(&ann, seq, 200).await.unwrap();
        let bytes: usize = page.items.iter().map(|n| n.payload.len()).sum();
        assert!(bytes <= PAGE);
        told += page.items.len();
        seq = page.items.last().unwrap().seq;
        if !page.more {
            break;
        }
    }
    assert_eq!(told, 7);
}

#[tokio::test]
async fn messages_are_listed_page_by_page_the_newest_first() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    let bob = user(&store, "bob").await;
    let mut sent = Vec::new();
    for number in 0..7 {
        sent.push(send(&store, &ann.id, &number.to_string(), at(number)).await);
        send(&store, &bob.id, "other", at(number)).await;
    }
    let mut seen = Vec::new();
    loop {
        let before = seen
            .last()
            .map(|message: &herald_store::Message| &message.id);
        let page = store
            .messages(&ann.id, None, before, 3)
            .await
            .unwrap()
            .items;
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    sent.reverse();
    assert_eq!(seen, sent);
}

#[tokio::test]
async fn messages_are_listed_by_status() {
    let Db { store, dir: _dir } = Db::new().await;
    let ann = user(&store, "ann").await;
    notify(&store, &ann.id, 2).await;
    let queued = send(&store, &ann.id, "hello", at(0)).await;
    let list = |status| store.messages(&ann.id, status, None, 10);
    assert_eq!(list(Some(Status::Processed)).await.unwrap().items.len(), 2);
    assert_eq!(list(Some(Status::Queued)).await.unwrap().items, [queued]);
    assert_eq!(list(Some(Status::Dead)).await.unwrap().items, []);
    assert_eq!(list(None).await.unwrap().items.len(), 3);
}

//! Sessions that wait for a cursor, which may be a write, and sessions that need not.

use std::sync::Arc;

use herald_broker::{Broker, Revoked};

use crate::{
    client::{Answer::Disconnect, Client},
    common::encode::{V5, ack, subscribe},
    cursor_host::{
        Acknowledged, Cursors, INBOX, Set, Where, follow, of_phone, settled, start, take,
    },
    setup::{alice, all_had_a_turn, connect, open, until},
};

/// A client whose session is kept, and which waits for SUBACK until its cursor is found.
async fn waiting() -> (Broker, Arc<Cursors>, Client) {
    let (broker, cursors) = start(0).await;
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    phone.send(&subscribe(V5, 1, &[], &[(INBOX, 1)])).await;
    until(|| !cursors.asked().is_empty()).await;
    (broker, cursors, phone)
}

#[tokio::test]
async fn a_subscription_is_acknowledged_only_once_it_has_its_place() {
    let (broker, cursors, mut phone) = waiting().await;
    all_had_a_turn(&broker).await;
    // It gets none.
    cursors.may_answer.close();
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x80)]));
}

/// Where its place is a write, that may take as long as it likes.
#[tokio::test]
async fn a_client_whose_subscription_waits_for_its_place_is_let_in_at_once_when_it_comes_back() {
    let (broker, cursors, mut first) = waiting().await;
    let of = of_phone();
    let mut second = open(&broker, &connect("phone", false, 30)).await;
    assert_eq!(first.until_closed().await, Ok(vec![Disconnect(0x8E)]));

    // It was not subscribed, and subscribes again.
    cursors.may_answer.add_permits(1);
    settled(&mut second).await;
    assert_eq!(cursors.asked(), []);
    follow(&mut second, V5, None).await;
    take(&mut second).await;
    assert_eq!(cursors.asked(), [Where(of.clone()), Acknowledged(of, 1)]);
}

#[tokio::test]
async fn a_session_that_waits_for_its_place_ends_with_its_rights() {
    let (broker, _cursors, mut phone) = waiting().await;
    broker.revoke(&alice(), &Revoked::User);
    assert_eq!(phone.until_closed().await, Ok(vec![Disconnect(0x87)]));
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn a_session_that_goes_on_does_not_wait_for_the_use_of_its_cursor() {
    let (broker, cursors) = start(1).await;
    let (id, of) = (Arc::from("phone"), of_phone());
    let mut phone = open(&broker, &connect("phone", true, 30)).await;
    follow(&mut phone, V5, None).await;
    take(&mut phone).await;
    let expected = [Where(of.clone()), Acknowledged(of.clone(), 1)];
    assert_eq!(cursors.asked(), expected);
    drop(phone);
    until(|| broker.connected() == 0).await;

    *cursors.begins.lock() = 4;
    let mut phone = open(&broker, &connect("phone", false, 30)).await;
    take(&mut phone).await;
    let expected = [Where(of.clone()), Acknowledged(of.clone(), 2)];
    assert_eq!(cursors.asked(), expected);
    // It was forgotten: it is set to where the session is.
    cursors.may_answer.add_permits(1);
    until(|| cursors.asked() == [Set(Arc::clone(&id), 2)]).await;
    // The third has been read; it came under the same number.
    phone.send(&ack(0x40, 3)).await;
    settled(&mut phone).await;
    assert_eq!(cursors.asked(), [Acknowledged(of.clone(), 3)]);
    // That may have been written before the cursor was set back.
    cursors.may_answer.add_permits(1);
    until(|| cursors.asked() == [Acknowledged(of.clone(), 3)]).await;
}

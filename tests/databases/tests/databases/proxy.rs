//! The proxy, before real servers.

use std::time::Duration;

use herald_test_databases::{
    CuttingProxy,
    DatabaseKind::{self, MariaDb, MySql, Postgres},
    Message, Moment, TestDatabase,
};
use rstest::rstest;
use sqlx::{AnyConnection, Connection as _, any::install_default_drivers, raw_sql};
use tokio::time::timeout;

/// Long enough for anything to happen.
const LIMIT: Duration = Duration::from_secs(20);

/// Long enough to see that nothing happens, where more time would show the same.
const MOMENT: Duration = Duration::from_millis(50);

/// A database with the table `numbers`, and a proxy before it.
async fn begin(kind: DatabaseKind) -> Option<(TestDatabase, CuttingProxy)> {
    install_default_drivers();
    let database = TestDatabase::make(kind, 2, async |url| {
        let mut connection = AnyConnection::connect(url).await.unwrap();
        let table = "CREATE TABLE numbers (number BIGINT NOT NULL)";
        raw_sql(table).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
    let database = database.await?;
    let proxy = CuttingProxy::start(kind, database.url()).await;
    Some((database, proxy))
}

/// Inserts a number in a transaction of its own, by a statement with a parameter.
async fn insert(connection: &mut AnyConnection, number: i64) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let statement = match transaction.backend_name() {
        "PostgreSQL" => "INSERT INTO numbers VALUES ($1)",
        _ => "INSERT INTO numbers VALUES (?)",
    };
    let insert = sqlx::query(statement).bind(number);
    insert.execute(&mut *transaction).await?;
    transaction.commit().await
}

async fn numbers(url: &str) -> Vec<i64> {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let numbers = sqlx::query_scalar("SELECT number FROM numbers ORDER BY number");
    numbers.fetch_all(&mut connection).await.unwrap()
}

#[rstest]
#[case::before_it_is_passed_on(Moment::Before, &[1])]
#[case::before_the_answer_is(Moment::Answered, &[1, 2])]
#[tokio::test]
async fn a_commit_is_lost_or_its_answer_is(
    #[values(Postgres, MariaDb, MySql)] kind: DatabaseKind,
    #[case] moment: Moment,
    #[case] committed: &[i64],
) {
    let Some((database, proxy)) = begin(kind).await else {
        return;
    };
    let mut connection = AnyConnection::connect(proxy.url()).await.unwrap();
    insert(&mut connection, 1).await.unwrap();
    let cut = proxy.cut_at(moment, Message::is_commit);
    assert_eq!(cut.done(), None);
    insert(&mut connection, 2).await.unwrap_err();
    assert!(cut.wait().await.is_commit());
    assert_eq!(numbers(database.url()).await, committed);
    // Once.
    let mut connection = AnyConnection::connect(proxy.url()).await.unwrap();
    insert(&mut connection, 3).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn each_message_of_a_connection_can_be_the_last(
    #[values(Postgres, MariaDb, MySql)] kind: DatabaseKind,
    #[values(Moment::Before, Moment::Answered)] moment: Moment,
) {
    let Some((database, proxy)) = begin(kind).await else {
        return;
    };
    let mut commits = 0;
    for number in 1.. {
        assert!(number < 100, "a transaction is a few messages");
        let before = numbers(database.url()).await.len();
        let cut = proxy.cut_at(moment, move |message| message.number == number);
        let session = async {
            let mut connection = AnyConnection::connect(proxy.url()).await?;
            insert(&mut connection, i64::from(number)).await
        };
        let done = timeout(LIMIT, session).await.expect("an end");
        let Some(message) = cut.done() else {
            // There are fewer messages.
            done.unwrap();
            break;
        };
        assert_eq!(message.number, number);
        done.unwrap_err();
        commits += usize::from(message.is_commit());
        let is_committed = message.is_commit() && moment == Moment::Answered;
        let expected = before + usize::from(is_committed);
        assert_eq!(numbers(database.url()).await.len(), expected, "{message:?}");
    }
    assert_eq!(commits, 1);
}

#[rstest]
#[tokio::test]
async fn all_connections_are_cut_and_new_ones_refused_until_they_are_admitted(
    #[values(Postgres, MariaDb, MySql)] kind: DatabaseKind,
) {
    let Some((_database, mut proxy)) = begin(kind).await else {
        return;
    };
    let mut first = AnyConnection::connect(proxy.url()).await.unwrap();
    let mut second = AnyConnection::connect(proxy.url()).await.unwrap();
    proxy.cut_all();
    first.ping().await.unwrap_err();
    second.ping().await.unwrap_err();
    let mut third = AnyConnection::connect(proxy.url()).await.unwrap();
    for _ in 0..2 {
        proxy.refuse().await;
        let refused = AnyConnection::connect(proxy.url()).await.unwrap_err();
        assert!(matches!(refused, sqlx::Error::Io(_)), "{refused:?}");
        third.ping().await.unwrap();
        proxy.admit();
        AnyConnection::connect(proxy.url()).await.unwrap();
    }
    let url = proxy.url().to_owned();
    drop(proxy);
    third.ping().await.unwrap_err();
    AnyConnection::connect(&url).await.unwrap_err();
}

#[rstest]
#[tokio::test]
async fn what_is_held_goes_on_when_it_is_released(
    #[values(Postgres, MariaDb, MySql)] kind: DatabaseKind,
) {
    let Some((database, proxy)) = begin(kind).await else {
        return;
    };
    let mut connection = AnyConnection::connect(proxy.url()).await.unwrap();
    proxy.hold();
    {
        let held = insert(&mut connection, 1);
        tokio::pin!(held);
        assert!(timeout(MOMENT, &mut held).await.is_err());
        let new = AnyConnection::connect(proxy.url());
        tokio::pin!(new);
        assert!(timeout(MOMENT, &mut new).await.is_err());
        proxy.release();
        timeout(LIMIT, held).await.unwrap().unwrap();
        timeout(LIMIT, new).await.unwrap().unwrap();
    }
    assert_eq!(numbers(database.url()).await, [1]);
    proxy.hold();
    proxy.cut_all();
    timeout(LIMIT, insert(&mut connection, 2))
        .await
        .unwrap()
        .unwrap_err();
}

//! What a client sends, and what must come back.

use herald_acl::Actions;
use herald_broker::Broker;

use crate::{
    client::{Answer, Client},
    common::encode::{Connect, V5},
    small,
};

/// MQTT 5 section 4.13.1: a malformed packet, or a protocol error.
pub(crate) const WRONG: &[u8] = &[0x81, 0x82];

/// What must come back.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    /// These, and the session goes on.
    Goes(Vec<Answer>),
    /// The session ends: in MQTT 5 with a DISCONNECT of one of these codes, in 3.1.1 without a word.
    Ends(&'static [u8]),
    /// There will be no session: the connection is closed, with a CONNACK of one of these codes or without a word.
    Refuses(&'static [u8]),
    /// The connection is closed without a word.
    Closes,
    /// There will be no session: CONNACK of exactly this code, and the end.
    RefusesWith(u8),
}

/// One line of a table.
pub(crate) struct Row {
    version: u8,
    /// What is wrong, and where the specification of the version says so.
    what: String,
    send: Vec<u8>,
    expect: Expect,
}

pub(crate) fn row(version: u8, what: impl Into<String>, send: Vec<u8>, expect: Expect) -> Row {
    Row {
        version,
        what: what.into(),
        send,
        expect,
    }
}

/// Sends each row on a connection of its own, behind CONNECT and CONNACK.
pub(crate) async fn check_in_session(rows: Vec<Row>) {
    check(rows, true).await;
}

/// Sends each row as the first bytes of a connection.
pub(crate) async fn check_at_the_start(rows: Vec<Row>) {
    check(rows, false).await;
}

async fn check(rows: Vec<Row>, connected: bool) {
    let broker = small::broker(Actions::Both).await;
    let mut wrong = vec![];
    for row in rows {
        if let Err(got) = try_row(&broker, &row, connected).await {
            let version = if row.version == V5 { "5" } else { "3.1.1" };
            wrong.push(format!(
                "MQTT {version}, {}: sent {:02x?}, expected {:?}, got {got}",
                row.what, row.send, row.expect
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn try_row(broker: &Broker, row: &Row, connected: bool) -> Result<(), String> {
    let mut client = Client::new(broker, row.version);
    if connected {
        client.send(&Connect::new(row.version).bytes()).await;
        match client.next().await? {
            Some(Answer::Connack(0)) => {}
            other => return Err(format!("no session: {other:?}")),
        }
    }
    client.send(&row.send).await;
    if let Expect::Goes(expected) = &row.expect {
        let got = client.answers(expected.len()).await?;
        return if &got == expected {
            Ok(())
        } else {
            Err(format!("{got:?}"))
        };
    }
    let got = client.until_closed().await?;
    if fits(&row.expect, row.version, &got) {
        Ok(())
    } else {
        Err(format!("{got:?} and the end"))
    }
}

fn fits(expect: &Expect, version: u8, got: &[Answer]) -> bool {
    match expect {
        Expect::Goes(answers) => answers == got,
        Expect::Ends(codes) if version == V5 => {
            matches!(got, [Answer::Disconnect(code)] if codes.contains(code))
        }
        Expect::Ends(_) | Expect::Closes => got.is_empty(),
        Expect::RefusesWith(code) => got == [Answer::Connack(*code)],
        Expect::Refuses(codes) => match got {
            [] => true,
            [Answer::Connack(code)] => codes.contains(code),
            _ => false,
        },
    }
}

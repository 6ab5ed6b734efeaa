//! What mosquitto's bridges send that other clients may not.

use crate::{
    client::Answer,
    common::encode::{self, V3, V5, publish},
    row::{Expect::Goes, check_at_the_start, check_in_session, row},
};

#[tokio::test]
async fn what_a_bridge_publishes_of_itself_is_taken() {
    const STATE: &str = "$SYS/broker/connection/home.bridge/state";
    let bridge = |version: u8| {
        encode::Connect {
            // `try_private`.
            version: version | 0x80,
            will: Some(encode::Will {
                qos: 1,
                retain: true,
                topic: STATE,
                payload: "0",
                properties: vec![],
            }),
            ..encode::Connect::new(version)
        }
    };
    let mut v5 = bridge(V5).bytes();
    // Written as 3.1.1, which has no properties.
    let properties = 2 + 6 + 4;
    v5.insert(properties, 0);
    v5.insert(properties + 1 + 2 + "phone".len(), 0);
    v5[1] += 2;
    let state = |version| publish(version, 3, STATE, 7, &[], "1");
    check_at_the_start(vec![
        row(
            V3,
            "a bridge",
            bridge(V3).bytes(),
            Goes(vec![Answer::Connack(0)]),
        ),
        row(V5, "a bridge", v5, Goes(vec![Answer::Connack(0)])),
    ])
    .await;
    check_in_session(vec![
        row(V3, "its state", state(V3), Goes(vec![Answer::Puback(7, 0)])),
        row(V5, "its state", state(V5), Goes(vec![Answer::Puback(7, 0)])),
        row(
            V5,
            "what else is in $SYS",
            publish(V5, 2, "$SYS/broker/clients/total", 7, &[], "1"),
            Goes(vec![Answer::Puback(7, 0x87)]),
        ),
    ])
    .await;
}

//! What a client of the streams may ask for while it is connected.

use std::time::Duration;

use serde_json::json;

use crate::rig::Rig;
use crate::stream_rig::Client;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn streams_are_subscribed_to_listed_and_left() {
    let rig = Rig::frozen().await;
    let mut client = Client::new(&rig, "/ws").await;
    let subscribe = r#"{"method":"SUBSCRIBE","params":["btcusdt@miniTicker","x@y"],"id":1}"#;
    assert_eq!(
        client.ask(subscribe).await,
        json!({"result": null, "id": 1})
    );
    let list = r#"{"method":"LIST_SUBSCRIPTIONS","id":"two"}"#;
    let listed = json!({"result": ["btcusdt@miniTicker", "x@y"], "id": "two"});
    assert_eq!(client.ask(list).await, listed);
    rig.simulator.step(SECOND);
    assert_eq!(client.json().await["s"], "BTCUSDT");
    let leave = r#"{"method":"UNSUBSCRIBE","params":["btcusdt@miniTicker"],"id":3}"#;
    assert_eq!(client.ask(leave).await, json!({"result": null, "id": 3}));
    rig.simulator.step(SECOND);
    client.check_silence().await;
}

#[tokio::test]
async fn the_combined_form_is_a_property() {
    let rig = Rig::frozen().await;
    let mut client = Client::new(&rig, "/ws/btcusdt@miniTicker").await;
    let get = r#"{"method":"GET_PROPERTY","params":["combined"],"id":1}"#;
    assert_eq!(client.ask(get).await, json!({"result": false, "id": 1}));
    let set = r#"{"method":"SET_PROPERTY","params":["combined",true],"id":2}"#;
    assert_eq!(client.ask(set).await, json!({"result": null, "id": 2}));
    rig.simulator.step(SECOND);
    assert_eq!(client.json().await["stream"], "btcusdt@miniTicker");
}

#[tokio::test]
async fn bad_control_messages_are_answered_with_documented_codes() {
    let rig = Rig::frozen().await;
    for (message, code) in [
        ("{", 3),
        ("[]", 2),
        (r#"{"id":1}"#, 2),
        (r#"{"method":"SHOUT","id":1}"#, 2),
        (
            r#"{"method":"SUBSCRIBE","params":"btcusdt@ticker","id":1}"#,
            2,
        ),
        (r#"{"method":"SUBSCRIBE","params":[1],"id":1}"#, 2),
        (r#"{"method":"SUBSCRIBE","params":[],"id":-1}"#, 2),
        (r#"{"method":"SUBSCRIBE","params":[],"ids":1}"#, 2),
        (
            r#"{"method":"SET_PROPERTY","params":["combined"],"id":1}"#,
            1,
        ),
        (
            r#"{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}"#,
            1,
        ),
        (
            r#"{"method":"SET_PROPERTY","params":["colour",true],"id":1}"#,
            0,
        ),
        (r#"{"method":"GET_PROPERTY","params":[],"id":1}"#, 0),
    ] {
        // One connection each: six messages within a second would be too many.
        let mut client = Client::new(&rig, "/ws").await;
        let answer = client.ask(message).await;
        assert_eq!(answer["code"], code, "{message}: {answer}");
        assert!(answer["msg"].is_string(), "{message}");
    }
}

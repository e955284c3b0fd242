//! The control routes.

use serde_json::json;

use crate::rig::{MOMENT, MOMENT_MS, Rig};

#[tokio::test]
async fn control_describes_itself_and_its_examples_work() {
    let rig = Rig::frozen().await;
    let about = rig.json("/control").await;
    assert_eq!(
        about["base_urls"]["binance"],
        rig.simulator.binance_url().as_str()
    );
    assert_eq!(
        about["base_urls"]["coingecko"],
        rig.simulator.coingecko_url().as_str()
    );
    assert_eq!(about["base_urls"]["fng"], rig.simulator.fng_url().as_str());
    assert!(rig.simulator.control_url().ends_with("/control"));
    for route in ["/control/faults", "/control/clock"] {
        let examples = &about["routes"][format!("POST {route}")]["examples"];
        for example in examples.as_array().unwrap() {
            assert_eq!(
                rig.post(route, &example.to_string()).await.status,
                200,
                "{example}"
            );
        }
    }
    for kind in about["routes"]["POST /control/faults"]["kinds"]
        .as_array()
        .unwrap()
    {
        let order = json!({"source": "fng", "kind": kind, "ms": 1, "status": 500, "value": "nan"});
        assert_eq!(
            rig.post("/control/faults", &order.to_string()).await.status,
            200,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn ordered_faults_are_listed_met_and_forgotten() {
    let rig = Rig::frozen().await;
    let order = json!({
        "source": "binance", "kind": "status", "status": 429, "retry_after": 9,
        "endpoint": "/api/v3/time", "times": 2,
    });
    assert_eq!(
        rig.post("/control/faults", &order.to_string()).await.json(),
        order
    );
    assert_eq!(rig.get("/binance/api/v3/ping").await.status, 200);
    let answer = rig.get("/binance/api/v3/time").await;
    assert_eq!((answer.status, answer.number_in("retry-after")), (429, 9));
    assert_eq!(rig.json("/control/faults").await[0]["times"], 1);
    assert_eq!(
        rig.send("DELETE", "/control/faults", "")
            .await
            .unwrap()
            .status,
        204
    );
    assert_eq!(rig.get("/binance/api/v3/time").await.status, 200);

    let calls = json!({"binance /api/v3/ping": 1, "binance /api/v3/time": 2});
    assert_eq!(rig.json("/control/calls").await, calls);
    assert_eq!(json!(rig.simulator.calls()), calls);
    assert_eq!(rig.post("/control/reset", "").await.status, 204);
    assert_eq!(rig.json("/control/calls").await, json!({}));
}

#[tokio::test]
async fn the_clock_is_set_and_stepped() {
    let rig = Rig::frozen().await;
    assert_eq!(
        rig.json("/control/clock").await,
        json!({"now": MOMENT, "time": {"frozen_at": MOMENT}})
    );
    assert_eq!(
        rig.post("/control/clock", r#"{"step_ms": 3600000}"#)
            .await
            .status,
        200
    );
    let later = rig.json("/binance/api/v3/time").await["serverTime"].clone();
    assert_eq!(later, MOMENT_MS + 3_600_000);
    let running = rig
        .post(
            "/control/clock",
            r#"{"running_from": "2021-01-01T00:00:00Z"}"#,
        )
        .await;
    assert_eq!(
        running.json()["time"],
        json!({"running_from": "2021-01-01T00:00:00Z"})
    );
    let real = rig.post("/control/clock", r#""real_time""#).await.json();
    assert_eq!(real["time"], "real_time");
}

#[tokio::test]
async fn bad_orders_are_refused_with_a_sentence() {
    let rig = Rig::frozen().await;
    for (route, body) in [
        ("faults", ""),
        ("faults", "[]"),
        ("faults", r#"{"source": "binance"}"#),
        ("faults", r#"{"source": "nasdaq", "kind": "hang"}"#),
        ("faults", r#"{"source": "binance", "kind": "explode"}"#),
        (
            "faults",
            r#"{"source": "binance", "kind": "status", "status": 99}"#,
        ),
        (
            "faults",
            r#"{"source": "binance", "kind": "latency", "ms": -1}"#,
        ),
        (
            "faults",
            r#"{"source": "binance", "kind": "latency", "ms": 600001}"#,
        ),
        (
            "faults",
            r#"{"source": "binance", "kind": "hang", "endpoint": "/fng/"}"#,
        ),
        ("clock", r#"{"frozen_at": "tomorrow"}"#),
        ("clock", r#""backwards""#),
    ] {
        let answer = rig.post(&format!("/control/{route}"), body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["error"].is_string(), "{body}");
    }
    assert_eq!(rig.json("/control/faults").await, json!([]));
}

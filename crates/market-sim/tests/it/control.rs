//! The control routes.

use std::time::Duration;

use market_sim::{Fault, FaultKind, RetryAfter, Source, keys};
use serde_json::json;

use crate::rig::{MOMENT, MOMENT_MS, Rig};

#[tokio::test]
async fn control_describes_itself_and_its_examples_work() {
    let rig = Rig::frozen().await;
    let about = rig.json("/control").await;
    let simulator = &rig.simulator;
    for (source, url) in [
        ("binance", simulator.binance_url()),
        ("binance-ws", simulator.binance_ws_url()),
        ("coingecko", simulator.coingecko_url()),
        ("fng", simulator.fng_url()),
        ("taapi", simulator.taapi_url()),
        ("cmc", simulator.cmc_url()),
        ("finnhub", simulator.finnhub_url()),
        ("coinbase", simulator.coinbase_url()),
        ("kraken", simulator.kraken_url()),
    ] {
        assert_eq!(about["base_urls"][source], url, "{source}");
    }
    assert_eq!(about["keys"]["taapi"], keys::TAAPI_SECRET);
    assert!(rig.simulator.control_url().ends_with("/control"));
    for route in ["/control/faults", "/control/clock", "/control/streams"] {
        let examples = &about["routes"][format!("POST {route}")]["examples"];
        for example in examples.as_array().unwrap() {
            let answer = rig.post(route, &example.to_string()).await;
            assert!([200, 204].contains(&answer.status), "{example}");
        }
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
        ("streams", r#""explode""#),
        ("clock", r#"{"speed": -1}"#),
        ("clock", r#"{"fast_from": {"speed": 2}}"#),
        ("clock", r#"{"frozen_at": "tomorrow"}"#),
        ("clock", r#""backwards""#),
    ] {
        let answer = rig.post(&format!("/control/{route}"), body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["error"].is_string(), "{body}");
    }
    assert_eq!(rig.json("/control/faults").await, json!([]));
}

#[tokio::test]
async fn a_fault_that_cannot_be_done_is_refused_with_a_sentence() {
    let rig = Rig::frozen().await;
    for order in [
        json!({"source": "kraken", "kind": "skew", "percent": 0}),
        json!({"source": "taapi", "kind": "rate_limit", "calls": 1, "seconds": 0}),
        json!({"source": "taapi", "kind": "rate_limit", "calls": 0, "seconds": 15}),
        json!({"source": "cmc", "kind": "redirect", "to": "a\nb"}),
        json!({"source": "cmc", "kind": "canned", "status": 99, "body": ""}),
        json!({"source": "cmc", "kind": "drip", "ms": 600_001}),
        json!({"source": "cmc", "kind": "poison", "value": "arsenic"}),
        json!({"source": "binance", "kind": "hang", "endpoint": "frames"}),
    ] {
        let answer = rig.post("/control/faults", &order.to_string()).await;
        assert_eq!(answer.status, 400, "{order}");
        assert!(answer.json()["error"].is_string(), "{order}");
    }
    assert_eq!(rig.json("/control/faults").await, json!([]));
}

#[tokio::test]
async fn an_order_that_would_not_be_carried_out_as_written_is_refused() {
    let rig = Rig::frozen().await;
    for (order, named) in [
        (json!({"kind": "hang", "tims": 3}), "\"tims\""),
        (json!({"kind": "hang", "tims": null}), "\"tims\""),
        (json!({"kind": "hang", "ms": 5}), "\"ms\""),
        (
            json!({"kind": "latency", "ms": 5, "retry_after": 1}),
            "\"retry_after\"",
        ),
        (json!({"kind": "hang", "times": 0}), "times is 0"),
        (
            json!({"kind": "status", "status": 429, "retry_after": "so\non"}),
            "retry_after",
        ),
        (
            json!({"kind": "status", "status": 429, "retry_after": "sp\u{e4}ter"}),
            "retry_after",
        ),
        (
            json!({"kind": "status", "status": 429, "retry_after": ""}),
            "retry_after",
        ),
        (
            json!({"kind": "status", "status": 429, "retry_after": " 5"}),
            "retry_after",
        ),
        (
            json!({"kind": "status", "status": 429, "retry_after": -1}),
            "retry_after",
        ),
    ] {
        let mut order = order;
        order["source"] = json!("binance");
        let answer = rig.post("/control/faults", &order.to_string()).await;
        assert_eq!(answer.status, 400, "{order}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(named), "{order}: {error}");
    }
    assert_eq!(rig.json("/control/faults").await, json!([]));
    let nulls = json!({"source": "fng", "kind": "hang", "times": null, "endpoint": null});
    let answer = rig.post("/control/faults", &nulls.to_string()).await;
    assert_eq!(answer.status, 200, "a null is a field left out");
}

#[tokio::test]
async fn the_library_refuses_the_same_faults_as_the_control_routes() {
    let never = Fault {
        times: Some(0),
        ..Fault::always(FaultKind::Hang)
    };
    let elsewhere = Fault {
        endpoint: Some("/fng/".into()),
        ..Fault::always(FaultKind::Hang)
    };
    let unsayable = Fault::always(FaultKind::Status {
        status: 429,
        retry_after: Some(RetryAfter::Text("so\non".into())),
    });
    let late = Fault::always(FaultKind::Latency {
        delay: Duration::from_secs(601),
    });
    for fault in [&never, &elsewhere, &unsayable, &late] {
        let error = fault.check(Source::Binance).unwrap_err().to_string();
        assert!(
            error.starts_with("ordering a fault for binance: "),
            "{error}"
        );
    }
    assert!(elsewhere.check(Source::Fng).is_ok());
}

#[tokio::test]
#[should_panic(expected = "times is 0")]
async fn a_fault_that_no_call_would_meet_is_a_mistake_in_the_test() {
    let rig = Rig::frozen().await;
    let never = Fault {
        times: Some(0),
        ..Fault::always(FaultKind::Hang)
    };
    rig.simulator.inject(Source::Binance, never);
}

//! The routes' answers: shapes, headers, errors.

use dashboard::http::ws::Pace;
use market_sim::FaultKind;
use serde_json::Value;

use crate::rig::{Rig, SUMMARY, simulator, until};
use crate::stand::break_every_source;
use crate::wire::{self, Reply};

fn assert_problem(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
    let body = reply.json();
    assert_eq!(body["status"], status);
    for member in ["type", "title", "detail", "code"] {
        assert!(body[member].is_string(), "{member} in {body}");
    }
}

/// The names of an object, sorted.
fn names(value: &Value) -> Vec<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("an object, not {value}"));
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn health_has_the_documented_shape_and_real_figures() {
    let rig = Rig::start(&[]).await;
    rig.warm().await;
    rig.get(SUMMARY).await;
    let reply = rig.get("/health").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let body = reply.json();
    assert_eq!(names(&body), ["cache_system", "metrics", "status"]);
    assert_eq!(
        names(&body["cache_system"]),
        [
            "l1_entries",
            "l1_hit_count",
            "l1_hit_rate",
            "l1_miss_count",
            "l2_healthy",
            "overall_healthy",
            "type"
        ]
    );
    assert_eq!(
        names(&body["metrics"]),
        [
            "avg_response_time_ms",
            "cache_hit_rate",
            "cache_size",
            "total_requests"
        ]
    );
    assert_eq!(body["status"], "healthy");
    assert_eq!(body["cache_system"]["type"], "unified_multi_tier");
    assert_eq!(body["cache_system"]["l2_healthy"], false);
    assert_eq!(body["cache_system"]["overall_healthy"], true);
    assert!(
        body["cache_system"]["l1_hit_count"].as_u64() > Some(0),
        "{body}"
    );
    assert!(
        body["metrics"]["total_requests"].as_u64() > Some(0),
        "{body}"
    );
    assert!(
        body["metrics"]["avg_response_time_ms"].as_f64() > Some(0.0),
        "{body}"
    );
    let rate = body["cache_system"]["l1_hit_rate"]
        .as_f64()
        .expect("a number");
    assert!((0.0..=100.0).contains(&rate));
}

#[tokio::test]
async fn a_service_without_a_single_figure_is_unhealthy_until_it_has_one() {
    let simulator = simulator().await;
    break_every_source(&simulator, &FaultKind::Garbage);
    let rig = Rig::start_with(&[], Pace::default(), simulator).await;
    let health_of = async |status: u16| {
        until("a verdict", || async {
            let reply = rig.get("/health").await;
            (reply.status == status).then(|| reply.json())
        })
        .await
    };
    let sick = health_of(503).await;
    assert_eq!(sick["status"], "unhealthy");
    assert_eq!(sick["cache_system"]["overall_healthy"], false);
    let stats = rig.get("/cache-stats").await.json();
    assert_eq!(stats["l1_cache"]["healthy"], false);

    rig.simulator.reset();
    let well = health_of(200).await;
    assert_eq!(well["cache_system"]["overall_healthy"], true);
}

#[tokio::test]
async fn a_first_round_under_way_is_no_illness() {
    let simulator = simulator().await;
    break_every_source(&simulator, &FaultKind::Hang);
    let rig = Rig::start_with(&[], Pace::default(), simulator).await;
    let body = rig.get("/health").await.json();
    assert_eq!(body["cache_system"]["overall_healthy"], true, "{body}");
}

#[tokio::test]
async fn cache_stats_has_the_documented_shape() {
    let rig = Rig::start(&[
        ("CACHE_L1_CAPACITY", "500"),
        ("CACHE_L2_TTL_SECONDS", "1234"),
    ])
    .await;
    rig.warm().await;
    let body = rig.get("/cache-stats").await.json();
    assert_eq!(
        names(&body),
        ["cache_system", "l1_cache", "l2_cache", "report_cache"]
    );
    assert_eq!(
        body["cache_system"],
        "Unified Multi-Tier (L1: In-Memory + L2: Redis)"
    );
    assert_eq!(
        names(&body["l1_cache"]),
        [
            "entry_count",
            "healthy",
            "hit_count",
            "hit_rate_percent",
            "max_capacity",
            "miss_count",
            "ttl_seconds",
            "type"
        ]
    );
    assert_eq!(
        names(&body["l2_cache"]),
        ["healthy", "status", "ttl_seconds", "type"]
    );
    assert_eq!(
        names(&body["report_cache"]),
        ["entry_count", "hit_rate_percent", "latest_report_id"]
    );
    assert_eq!(body["l1_cache"]["max_capacity"], 500);
    assert_eq!(body["l1_cache"]["ttl_seconds"], 300);
    assert_eq!(body["l2_cache"]["type"], "none");
    assert_eq!(body["l2_cache"]["status"], "off");
    assert_eq!(body["l2_cache"]["ttl_seconds"], 1234);
}

#[tokio::test]
async fn each_read_is_counted_as_the_hit_or_the_miss_that_it_was() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let counted = || async {
        let l1 = rig.get("/cache-stats").await.json()["l1_cache"].clone();
        let count = |name: &str| l1[name].as_u64().expect("a count");
        let (hits, misses) = (count("hit_count"), count("miss_count"));
        let rate = l1["hit_rate_percent"].as_f64().expect("a number");
        (hits, misses, rate)
    };
    let (hits, misses, _) = counted().await;
    for _ in 0..7 {
        rig.get("/api/v1/markets/btc").await;
    }
    let (hits_now, misses_now, rate) = counted().await;
    assert_eq!((hits_now - hits, misses_now - misses), (6, 1));
    let (hits, reads) = (
        f64::from(u32::try_from(hits_now).expect("few")),
        hits_now + misses_now,
    );
    let expected = hits * 100.0 / f64::from(u32::try_from(reads).expect("few"));
    assert!((rate - expected).abs() <= 0.05, "{rate} for {expected}");
}

#[tokio::test]
async fn health_asks_no_upstream_and_is_not_counted() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let calls = rig.simulator.calls();
    let counted = || async {
        rig.get("/health").await.json()["metrics"]["total_requests"]
            .as_u64()
            .expect("a count")
    };
    let before = counted().await;
    for path in ["/health", "/livez", "/readyz"] {
        assert_eq!(rig.get(path).await.status, 200, "{path}");
    }
    assert_eq!(counted().await, before);
    assert_eq!(rig.simulator.calls(), calls);
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems() {
    let rig = Rig::start(&[]).await;
    for path in [
        "/nothing",
        "/api/nothing",
        "/assets/x/../../etc/passwd",
        "/%00",
        "/assets/1/2/3",
        "/assets/%ff/%ff",
    ] {
        assert_problem(&rig.get(path).await, 404);
        let page = rig.call("GET", path, &[("Accept", "text/html")]).await;
        let kind = page.header("content-type").expect("a type");
        let is_page = kind.starts_with("text/html");
        assert_eq!(page.status, 404, "{path}");
        assert_eq!(is_page, !path.starts_with("/api/"), "{path}: {kind}");
    }
    let table = [
        ("DELETE", "/health", "GET,HEAD"),
        ("PUT", SUMMARY, "GET,HEAD"),
        ("GET", "/clear-cache", "POST"),
        ("OPTIONS", "/ws", "GET,HEAD"),
        (
            "PUT",
            "/api/crypto/dashboard-summary/refresh",
            "GET,HEAD,POST",
        ),
        ("TRACE", "/", "GET,HEAD"),
    ];
    for (method, path, allowed) in table {
        let reply = rig.call(method, path, &[]).await;
        assert_problem(&reply, 405);
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let rig = Rig::start(&[]).await;
    let path = "/api/crypto/dashboard-summary/refresh";
    let declared = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n");
    assert_problem(&wire::raw(rig.address, declared.as_bytes()).await, 413);

    let mut endless =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            .into_bytes();
    for _ in 0..20 {
        endless.extend_from_slice(b"1000\r\n");
        endless.extend_from_slice(&[b'x'; 0x1000]);
        endless.extend_from_slice(b"\r\n");
    }
    assert_problem(&wire::raw(rig.address, &endless).await, 413);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let rig = Rig::start(&[]).await;
    let long = "x".repeat(100 * 1024);
    let reply = rig.call("GET", "/", &[("X-Long", &long)]).await;
    assert_eq!(reply.status, 431);
    let many = "X-A: 1\r\n".repeat(200);
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    assert_eq!(wire::raw(rig.address, request.as_bytes()).await.status, 431);
}

#[tokio::test]
async fn a_known_version_is_not_sent_again() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let first = rig.get(SUMMARY).await;
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(
        first.header("cache-control"),
        Some("public, max-age=5, stale-while-revalidate=30, stale-if-error=300")
    );
    assert_eq!(first.header("x-cache"), Some("HIT"));
    assert_eq!(first.header("cache-status"), Some("l1; hit"));
    assert!(first.header("age").is_some());
    let tag = first.header("etag").expect("a version").to_owned();

    let again = rig.call("GET", SUMMARY, &[("If-None-Match", &tag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(tag.as_str()));
    let lines = [("If-None-Match", "\"other\""), ("If-None-Match", &tag)];
    assert_eq!(rig.call("GET", SUMMARY, &lines).await.status, 304);
    let other = rig
        .call("GET", SUMMARY, &[("If-None-Match", "\"other\"")])
        .await;
    assert_eq!(other.status, 200);
    assert_eq!(other.body, first.body);
}

#[tokio::test]
async fn the_age_of_a_kept_summary_grows() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    until("an age of a second", || async {
        let reply = rig.get(SUMMARY).await;
        let age: u64 = reply.header("age").expect("an age").parse().unwrap();
        (age >= 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn head_says_what_get_would() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    for path in [SUMMARY, "/", "/health"] {
        let head = rig.call("HEAD", path, &[]).await;
        assert_eq!(head.status, 200, "{path}");
        assert!(head.body.is_empty(), "{path}");
        let length: usize = head
            .header("content-length")
            .expect("a length")
            .parse()
            .unwrap();
        assert!(length > 100, "{path}: {length}");
        // The summary's GET takes a shorter way than its HEAD: both must say the same.
        let get = rig.call("GET", path, &[]).await;
        assert_eq!(get.status, head.status, "{path}");
        for name in [
            "content-type",
            "cache-control",
            "etag",
            "x-cache",
            "cache-status",
        ] {
            assert_eq!(get.header(name), head.header(name), "{path}: {name}");
        }
    }
}

#[tokio::test]
async fn the_older_name_says_that_it_is_old() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let reply = rig.get("/api/crypto/dashboard-summary/cached").await;
    assert_eq!(reply.status, 200);
    assert!(
        reply
            .header("deprecation")
            .expect("a date")
            .starts_with('@')
    );
    assert!(
        reply
            .header("link")
            .expect("a link")
            .contains("successor-version")
    );
    assert_eq!(reply.body, rig.get(SUMMARY).await.body);
}

#[tokio::test]
async fn refresh_makes_no_second_round_within_ten_seconds() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let calls = rig.simulator.calls();
    for method in ["GET", "POST"] {
        let reply = rig
            .call(method, "/api/crypto/dashboard-summary/refresh", &[])
            .await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert!(reply.header("age").is_some());
        assert!(reply.json()["btc_price_usd"].is_number());
    }
    assert_eq!(rig.simulator.calls(), calls);
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let rig = Rig::start(&[]).await;
    for path in ["/", "/health", SUMMARY, "/nothing", "/admin/cache/stats"] {
        let reply = rig.get(path).await;
        assert_eq!(
            reply.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(
            reply.header("referrer-policy"),
            Some("no-referrer"),
            "{path}"
        );
        assert_eq!(
            reply.header("cross-origin-resource-policy"),
            Some("same-origin"),
            "{path}"
        );
        assert_eq!(reply.header("server"), None, "{path}");
    }
}

#[tokio::test]
async fn a_stopping_service_finishes_and_refuses_newcomers() {
    let mut rig = Rig::start(&[]).await;
    rig.warm().await;
    rig.tell_to_stop();
    let address = rig.address;
    until("a closed door", || async {
        tokio::net::TcpStream::connect(address)
            .await
            .is_err()
            .then_some(())
    })
    .await;
    rig.stop().await;
}

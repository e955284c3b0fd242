//! The operator's routes and their token.

use crate::rig::{Rig, TOKEN};

const ROUTES: [(&str, &str); 4] = [
    ("POST", "/clear-cache"),
    ("GET", "/admin/cache/stats"),
    ("GET", "/admin/cache/clear"),
    ("POST", "/admin/cache/clear"),
];

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn without_a_configured_token_the_routes_are_off_and_say_how_to_set_it() {
    let rig = Rig::start(&[]).await;
    for (method, path) in ROUTES {
        let reply = rig
            .call(method, path, &[("Authorization", &bearer(TOKEN))])
            .await;
        assert_eq!(reply.status, 403, "{method} {path}");
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        assert!(reply.text().contains("ADMIN_TOKEN"), "{}", reply.text());
    }
}

#[tokio::test]
async fn only_the_right_token_in_the_right_header_passes() {
    let rig = Rig::start(&[("ADMIN_TOKEN", TOKEN)]).await;
    let query = format!("/admin/cache/stats?token={TOKEN}&access_token={TOKEN}");
    let wrong = bearer(&TOKEN.replace('0', "1"));
    let longer = bearer(&format!("{TOKEN}x"));
    let basic = format!("Basic {TOKEN}");
    let table: [(&str, Option<&str>); 5] = [
        ("/admin/cache/stats", None),
        (&query, None),
        ("/admin/cache/stats", Some(&basic)),
        ("/admin/cache/stats", Some(&wrong)),
        ("/admin/cache/stats", Some(&longer)),
    ];
    for (path, sent) in table {
        let headers: Vec<(&str, &str)> = sent
            .map(|sent| ("Authorization", sent))
            .into_iter()
            .collect();
        let reply = rig.call("GET", path, &headers).await;
        assert_eq!(reply.status, 401, "{path} {sent:?}");
        assert!(
            reply
                .header("www-authenticate")
                .expect("a challenge")
                .starts_with("Bearer")
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    for (method, path) in ROUTES {
        for scheme in ["Bearer", "bearer"] {
            let sent = format!("{scheme} {TOKEN}");
            let reply = rig.call(method, path, &[("Authorization", &sent)]).await;
            assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
            assert_eq!(reply.header("cache-control"), Some("no-store"));
        }
    }
}

#[tokio::test]
async fn guessing_is_stopped_after_five_wrong_tokens() {
    let rig = Rig::start(&[("ADMIN_TOKEN", TOKEN)]).await;
    let wrong = bearer(&"x".repeat(32));
    for _ in 0..5 {
        let reply = rig
            .call("POST", "/clear-cache", &[("Authorization", &wrong)])
            .await;
        assert_eq!(reply.status, 401);
    }
    for guess in [&wrong, &bearer(TOKEN)] {
        let reply = rig
            .call("POST", "/clear-cache", &[("Authorization", guess)])
            .await;
        assert_eq!(reply.status, 429);
        let wait: u64 = reply
            .header("retry-after")
            .expect("a wait")
            .parse()
            .unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn clearing_makes_the_next_read_ask_every_source_again() {
    let rig = Rig::start(&[("ADMIN_TOKEN", TOKEN), ("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let before = rig.simulator.calls();
    rig.summary().await;
    assert_eq!(rig.simulator.calls(), before, "a warm read asks nobody");

    let reply = rig
        .call("POST", "/clear-cache", &[("Authorization", &bearer(TOKEN))])
        .await;
    let body = reply.json();
    assert_eq!(body["success"], true);
    assert!(body["message"].is_string() && body["timestamp"].is_string());
    assert!(
        !body["operations"].as_array().expect("a list").is_empty(),
        "{body}"
    );

    rig.warm().await;
    let after = rig.simulator.calls();
    for endpoint in [
        "binance /api/v3/ticker/24hr",
        "binance /api/v3/klines",
        "coingecko /api/v3/global",
        "fng /fng/",
    ] {
        assert_eq!(after[endpoint], before[endpoint] + 1, "{endpoint}");
    }
}

#[tokio::test]
async fn what_is_no_pattern_is_refused_and_clears_nothing() {
    let rig = Rig::start(&[("ADMIN_TOKEN", TOKEN), ("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let calls = rig.simulator.calls();
    for path in [
        "/admin/cache/clear?pattern=%5Bbroken",
        "/admin/cache/clear?pattern=",
        "/admin/cache/clear?patern=x",
        "/admin/cache/clear?pattern=a&pattern=b",
        "/clear-cache?pattern=x",
    ] {
        let reply = rig
            .call("POST", path, &[("Authorization", &bearer(TOKEN))])
            .await;
        assert_eq!(reply.status, 400, "{path}");
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
    }
    rig.summary().await;
    assert_eq!(rig.simulator.calls(), calls);
}

#[tokio::test]
async fn the_get_form_of_clear_says_that_it_is_old() {
    let rig = Rig::start(&[("ADMIN_TOKEN", TOKEN)]).await;
    let sent = bearer(TOKEN);
    let get = rig
        .call("GET", "/admin/cache/clear", &[("Authorization", &sent)])
        .await;
    assert!(get.header("deprecation").is_some());
    let post = rig
        .call("POST", "/admin/cache/clear", &[("Authorization", &sent)])
        .await;
    assert!(post.header("deprecation").is_none());
    let head = rig
        .call("HEAD", "/admin/cache/clear", &[("Authorization", &sent)])
        .await;
    assert_eq!((head.status, head.header("allow")), (405, Some("GET,POST")));
}

#[tokio::test]
async fn admin_stats_tell_more_than_the_public_ones() {
    let rig = Rig::start(&[("ADMIN_TOKEN", TOKEN)]).await;
    rig.warm().await;
    let reply = rig
        .call(
            "GET",
            "/admin/cache/stats",
            &[("Authorization", &bearer(TOKEN))],
        )
        .await;
    let body = reply.json();
    assert_eq!(body["sources"].as_array().expect("a list").len(), 8);
    assert!(body["l1_cache"].is_object() && body["caches"].is_object());
    assert_eq!(body["websockets"]["open"], 0);
}

//! The page as the server sends it: what a reader without a script sees.

use dashboard::http::ws::Pace;
use market_sim::{Fault, FaultKind, Source};

use crate::rig::{Rig, simulator};

#[tokio::test]
async fn the_page_says_the_summarys_figures_without_a_script() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    let summary = rig.warm().await;
    let reply = rig.get("/").await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let page = reply.text();
    for coin in [
        "Bitcoin",
        "Ethereum",
        "Solana",
        "XRP",
        "Cardano",
        "Chainlink",
        "BNB",
    ] {
        assert!(page.contains(coin), "{coin}");
    }
    let btc = summary["btc_price_usd"].as_f64().expect("a price");
    let cents = format!("{btc:.2}");
    let shown = page
        .split("data-field=\"btc_price_usd\" data-form=\"price\">")
        .nth(1)
        .and_then(|rest| rest.split('<').next())
        .expect("a price on the page");
    assert_eq!(shown.replace([',', '$'], ""), cents);
    let label = summary["fng_classification"].as_str().expect("a label");
    assert!(
        page.contains(&format!(">{label}</p>")),
        "the label as it was received"
    );
    let rsi = format!(
        ">{:.1}</span>",
        summary["btc_rsi_14"].as_f64().expect("an RSI")
    );
    assert!(page.contains(&rsi), "{rsi}");
}

#[tokio::test]
async fn the_page_has_nothing_inline_and_nothing_from_elsewhere() {
    let rig = Rig::start(&[]).await;
    rig.warm().await;
    let reply = rig.get("/").await;
    let policy = reply
        .header("content-security-policy")
        .expect("a policy")
        .to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
    assert_eq!(
        reply.header("cross-origin-opener-policy"),
        Some("same-origin")
    );
    let page = reply.text();
    for forbidden in [
        "<style",
        " style=",
        "onclick",
        "onload",
        "javascript:",
        "<script>",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for fetched in page
        .match_indices("src=\"")
        .chain(page.match_indices("<link"))
    {
        let rest = &page[fetched.0..];
        let address = rest
            .split("href=\"")
            .nth(usize::from(rest.starts_with("<link")));
        let address = address.unwrap_or(rest).trim_start_matches("src=\"");
        assert!(
            address.starts_with("/assets/"),
            "{}",
            &rest[..80.min(rest.len())]
        );
    }
}

#[tokio::test]
async fn every_file_that_the_page_and_its_modules_name_is_there() {
    let rig = Rig::start(&[]).await;
    let page = rig.get("/").await.text();
    let mut found = 0;
    for part in page.split("\"/assets/").skip(1) {
        let path = format!("/assets/{}", part.split('"').next().expect("an end"));
        let reply = rig.get(&path).await;
        assert_eq!(reply.status, 200, "{path}");
        let kept = reply.header("cache-control").expect("a rule");
        assert!(kept.contains("immutable"), "{path}: {kept}");
        let folder = path.rsplit_once('/').expect("a folder").0.to_owned();
        for import in reply
            .text()
            .split("from \"./")
            .skip(1)
            .map(|rest| rest.split('"').next())
        {
            let module = format!("{folder}/{}", import.expect("an end"));
            assert_eq!(rig.get(&module).await.status, 200, "{module}");
            assert!(page.contains(&module), "{module} is not preloaded");
        }
        found += 1;
    }
    assert!(found >= 10, "{found}");
}

#[tokio::test]
async fn a_file_of_an_older_build_is_served_but_not_kept() {
    let rig = Rig::start(&[]).await;
    let reply = rig.get("/assets/0000/app.js").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    let tag = reply.header("etag").expect("a version").to_owned();
    let again = rig
        .call("GET", "/assets/0000/app.js", &[("If-None-Match", &tag)])
        .await;
    assert_eq!(again.status, 304);
    for path in [
        "/assets/0000/secret.txt",
        "/assets/0000/..%2f..%2fCargo.toml",
        "/assets/0000/",
    ] {
        assert_eq!(rig.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_browser_gets_errors_as_pages_and_a_program_as_problems() {
    let rig = Rig::start(&[]).await;
    let browser = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let reply = rig
        .call("GET", "/%3Cscript%3Ealert(1)%3C/script%3E", &browser)
        .await;
    assert_eq!(reply.status, 404);
    assert_eq!(
        reply.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(reply.header("content-security-policy").is_some());
    assert!(!reply.text().contains("<script>alert"));
    let method = rig.call("DELETE", "/", &browser).await;
    assert_eq!(
        (method.status, method.header("allow")),
        (405, Some("GET,HEAD"))
    );
    let api = rig.call("GET", "/api/nothing", &browser).await;
    assert_eq!(api.header("content-type"), Some("application/problem+json"));
    let program = rig
        .call("GET", "/nothing", &[("Accept", "application/json")])
        .await;
    assert_eq!(
        program.header("content-type"),
        Some("application/problem+json")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_whose_prices_it_shows_and_in_which_currency() {
    let usual = Rig::start(&[]).await;
    usual.warm().await;
    let page = usual.get("/").await.text();
    assert!(page.contains(r#"<span id="quotes">USDT</span>"#));

    let simulator = simulator().await;
    simulator.inject(Source::Binance, Fault::always(FaultKind::Reset));
    let rig = Rig::start_with(&[("SYMBOLS", "btc,eth")], Pace::default(), simulator).await;
    rig.warm().await;
    let page = rig.get("/").await.text();
    assert!(page.contains(r#"<span id="quotes">USD</span>"#));
    assert!(page.contains("data-name>Coinbase Exchange<"));
}

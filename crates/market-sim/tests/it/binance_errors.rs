//! Requests that Binance refuses.

use crate::rig::Rig;

#[tokio::test]
async fn bad_parameters_are_refused_with_binances_codes() {
    let rig = Rig::frozen().await;
    for (path, code) in [
        ("klines?symbol=NOPEUSDT&interval=1d", -1121),
        ("klines?symbol=btcusdt&interval=1d", -1100),
        ("klines?symbol=BTCUSDT&interval=7m", -1120),
        ("klines?symbol=BTCUSDT&interval=1D", -1120),
        ("klines?symbol=BTCUSDT", -1102),
        ("klines?symbol=BTCUSDT&interval=", -1102),
        ("klines?interval=1d", -1102),
        ("klines?symbol=BTCUSDT&interval=1d&limit=0", -1130),
        ("klines?symbol=BTCUSDT&interval=1d&limit=1001", -1130),
        ("klines?symbol=BTCUSDT&interval=1d&limit=ten", -1100),
        ("klines?symbol=BTCUSDT&interval=1d&limit=-1", -1100),
        (
            "klines?symbol=BTCUSDT&interval=1d&startTime=yesterday",
            -1100,
        ),
        ("klines?symbol=BTCUSDT&interval=1d&startTime=-5", -1100),
        ("klines?symbol=BTCUSDT&interval=1d&timeZone=8", -1130),
        ("klines?symbol=BTCUSDT&interval=1d&colour=red", -1104),
        ("ticker/24hr?symbol=NOPEUSDT", -1121),
        (
            "ticker/24hr?symbol=BTCUSDT&symbols=%5B%22ETHUSDT%22%5D",
            -1128,
        ),
        ("ticker/24hr?symbols=BTCUSDT", -1100),
        ("ticker/24hr?symbols=%5B%5D", -1102),
        ("ticker/24hr?symbols=%5B%22BTCUSDT%22,%22NOPE%22%5D", -1121),
        ("ticker/24hr?type=HUGE", -1130),
        ("ticker/24hr?symbolStatus=BREAK", -1220),
        ("ticker/24hr?symbolStatus=GONE", -1122),
        ("ticker/price?symbol=", -1102),
        ("avgPrice", -1102),
        ("avgPrice?symbols=%5B%22BTCUSDT%22%5D", -1104),
        ("exchangeInfo?symbol=NOPE", -1121),
        ("ping?x=1", -1104),
    ] {
        let answer = rig.get(&format!("/binance/api/v3/{path}")).await;
        assert_eq!(answer.status, 400, "{path}");
        let body = answer.json();
        assert_eq!(body["code"], code, "{path}: {body}");
        assert!(body["msg"].is_string(), "{path}");
    }
}

#[tokio::test]
async fn unknown_paths_are_not_found_and_counted() {
    let rig = Rig::frozen().await;
    for path in [
        "/binance/api/v9/klines",
        "/coingecko/api/v3/globe",
        "/fng/gnf",
        "/binance/",
    ] {
        assert_eq!(rig.get(path).await.status, 404, "{path}");
    }
    assert_eq!(rig.get("/elsewhere/api").await.status, 404);
    assert_eq!(rig.get("/").await.status, 404);
    let calls = rig.simulator.calls();
    assert_eq!(calls["binance (unknown)"], 2);
    assert_eq!(calls["coingecko (unknown)"], 1);
    assert_eq!(calls["fng (unknown)"], 1);
    assert_eq!(rig.post("/binance/api/v3/ping", "").await.status, 405);
    for path in [
        "/fng/fng/?limit=many",
        "/fng/fng/?date_format=mars",
        "/fng/fng/?format=csv",
    ] {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.json()["metadata"]["error"].is_string(), "{path}");
    }
}

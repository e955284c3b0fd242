//! Binance's request weight.

use crate::rig::Rig;

const USED: &str = "x-mbx-used-weight-1m";

#[tokio::test]
async fn every_call_adds_its_weight() {
    let rig = Rig::frozen().await;
    let mut used = 0;
    for (path, weight) in [
        ("ping", 1),
        ("time", 1),
        ("exchangeInfo", 20),
        ("ticker/price?symbol=BTCUSDT", 2),
        ("ticker/price", 4),
        ("ticker/24hr?symbol=BTCUSDT", 2),
        ("ticker/24hr?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D", 2),
        ("ticker/24hr", 80),
        ("klines?symbol=BTCUSDT&interval=1d&limit=1", 2),
        ("klines?symbol=BTCUSDT&interval=none", 2),
        ("avgPrice?symbol=BTCUSDT", 2),
    ] {
        used += weight;
        let answer = rig.get(&format!("/binance/api/v3/{path}")).await;
        assert_eq!(answer.number_in(USED), used, "{path}");
    }
    assert!(rig.get("/fng/fng/").await.header(USED).is_none());
}

#[tokio::test]
async fn too_much_weight_is_refused_and_carrying_on_is_banned() {
    let rig = Rig::frozen().await;
    for number in 1..=75 {
        let answer = rig.get("/binance/api/v3/ticker/24hr?type=MINI").await;
        assert_eq!((answer.status, answer.number_in(USED)), (200, number * 80));
    }
    for _ in 0..10 {
        let answer = rig.get("/binance/api/v3/ping").await;
        assert_eq!(answer.status, 429);
        assert!((1..=60).contains(&answer.number_in("retry-after")));
        assert_eq!(answer.json()["code"], -1003);
    }
    for _ in 0..3 {
        let answer = rig.get("/binance/api/v3/ping").await;
        assert_eq!(answer.status, 418);
        assert!((60..=120).contains(&answer.number_in("retry-after")));
        assert_eq!(answer.json()["code"], -1003);
    }
    assert_eq!(rig.get("/coingecko/api/v3/ping").await.status, 200);
    assert_eq!(rig.post("/control/reset", "").await.status, 204);
    let answer = rig.get("/binance/api/v3/ping").await;
    assert_eq!((answer.status, answer.number_in(USED)), (200, 1));
}

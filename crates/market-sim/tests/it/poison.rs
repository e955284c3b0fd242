//! Wrong values in right answers.

use market_sim::{FaultKind, Poison, Source};
use serde_json::{Value, json};

use crate::calls::CALLS;
use crate::rig::{Rig, number};

#[tokio::test]
async fn poison_reaches_the_figures_of_every_source() {
    let rig = Rig::frozen().await;
    for (source, path, figure) in CALLS {
        let right = rig.json(path).await.pointer(figure).unwrap().clone();
        for (value, expected) in [
            (Poison::Null, json!(null)),
            (Poison::Nan, json!("NaN")),
            (Poison::Empty, json!("")),
            (Poison::Listed, json!([right])),
        ] {
            rig.simulator.reset();
            rig.fail(source, FaultKind::Poison { value });
            let body = rig.json(path).await;
            assert_eq!(body.pointer(figure), Some(&expected), "{path} {value:?}");
        }
        rig.simulator.reset();
        for value in [Poison::Negative, Poison::Zero] {
            rig.simulator.reset();
            rig.fail(source, FaultKind::Poison { value });
            let body = rig.json(path).await;
            assert!(
                number(body.pointer(figure).unwrap()) <= 0.0,
                "{path} {value:?}"
            );
        }
    }
}

#[tokio::test]
async fn one_field_can_be_poisoned_alone() {
    let rig = Rig::frozen().await;
    let spoil = |field: &str| FaultKind::PoisonField {
        field: field.to_owned(),
        value: Poison::Null,
    };
    let right = rig.json(CALLS[0].1).await;
    rig.fail(Source::Binance, spoil("lastPrice"));
    let mut body = rig.json(CALLS[0].1).await;
    assert!(body["lastPrice"].is_null());
    body["lastPrice"] = right["lastPrice"].clone();
    assert_eq!(body, right);

    rig.simulator.reset();
    rig.fail(Source::Binance, spoil("4"));
    for bar in rig.bars("symbol=BTCUSDT&interval=1d&limit=7").await {
        let nulls: Vec<bool> = bar.iter().map(Value::is_null).collect();
        assert_eq!(
            nulls.iter().position(|is_null| *is_null),
            Some(4),
            "{bar:?}"
        );
        assert_eq!(
            nulls.iter().filter(|is_null| **is_null).count(),
            1,
            "{bar:?}"
        );
    }
}

#[tokio::test]
async fn times_in_tuples_survive_the_poison() {
    let rig = Rig::frozen().await;
    let poison = FaultKind::Poison {
        value: Poison::Text,
    };
    for (source, path, rows) in [
        (
            Source::Coinbase,
            "/coinbase/products/BTC-USD/candles?granularity=3600",
            "",
        ),
        (
            Source::CoinGecko,
            "/coingecko/api/v3/coins/bitcoin/ohlc?vs_currency=usd&days=1",
            "",
        ),
        (
            Source::Kraken,
            "/kraken/0/public/OHLC?pair=XBTUSD",
            "/result/XXBTZUSD",
        ),
    ] {
        rig.fail(source, poison.clone());
        let body = rig.json(path).await;
        for row in body.pointer(rows).unwrap().as_array().unwrap() {
            assert!(row[0].is_i64() && row[4] == "abc", "{path}: {row}");
        }
    }
}

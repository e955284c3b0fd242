//! What the sources of a market say to which nothing happens, read without any of the service's code.

use std::collections::HashMap;

use axum::body::{Body, to_bytes};
use dashboard::market::{
    figure::{Figure, Source as Of},
    stock::Fund,
    symbol::Symbol,
};
use hyper::{Request, header::USER_AGENT};
use jiff::Timestamp;
use market_sim::{Fault, FaultKind, SimOptions, SimTime, Simulator, Source, keys};
use serde_json::{Value, json};
use tower_service::Service as _;

/// The market at the moments of the two rounds, and as it looks to who sees another one at the second.
pub(crate) struct Truths {
    pub(crate) before: Truth,
    pub(crate) now: Truth,
    skewed: Vec<(u32, Truth)>,
}

impl Truths {
    pub(crate) async fn of([before, now]: [Timestamp; 2], percents: &[u32]) -> Self {
        let mut skewed = Vec::new();
        for &percent in percents {
            skewed.push((percent, Truth::of(now, percent).await));
        }
        Self {
            before: Truth::of(before, 100).await,
            now: Truth::of(now, 100).await,
            skewed,
        }
    }

    /// What everybody says who sees so many hundredths of the right prices.
    pub(crate) fn seen_at(&self, percent: u32) -> &Truth {
        let seen = self.skewed.iter().find(|(of, _)| *of == percent);
        &seen.expect("it was looked at").1
    }
}

/// Figures of one moment, by who says them.
pub(crate) struct Truth(HashMap<(Of, Figure), Value>);

impl Truth {
    async fn of(moment: Timestamp, percent: u32) -> Self {
        let options = SimOptions {
            time: SimTime::FrozenAt(moment),
            ..SimOptions::default()
        };
        let simulator = Simulator::offline(options).expect("a seeded market needs no file");
        for source in Source::ALL {
            simulator.inject(source, Fault::always(FaultKind::Skew { percent }));
        }
        let mut truth = Self(HashMap::new());
        for symbol in Symbol::ALL {
            truth.learn_coin(&simulator, symbol).await;
        }
        truth.learn_market(&simulator).await;
        truth
    }

    /// What the source says.
    pub(crate) fn said(&self, of: Of, figure: Figure) -> &Value {
        let said = self.0.get(&(of, figure));
        said.unwrap_or_else(|| panic!("{of:?} says nothing of {figure:?}"))
    }

    async fn learn_coin(&mut self, simulator: &Simulator, symbol: Symbol) {
        let (price, change) = (Figure::Price(symbol), Figure::Change24h(symbol));
        let pair = symbol.binance_pair();
        let path = format!("/binance/api/v3/ticker/24hr?symbol={pair}");
        let day = asked(simulator, &path).await;
        self.learn(Of::Binance, price, parsed(&day["lastPrice"]));
        self.learn(Of::Binance, change, parsed(&day["priceChangePercent"]));

        let id = symbol.coingecko_id();
        let path = format!(
            "/coingecko/api/v3/simple/price?ids={id}&vs_currencies=usd&include_24hr_change=true"
        );
        let prices = asked(simulator, &path).await;
        self.learn(Of::CoinGecko, price, prices[id]["usd"].clone());
        self.learn(Of::CoinGecko, change, prices[id]["usd_24h_change"].clone());
        if symbol == Symbol::Bnb {
            return;
        }

        let code = symbol.code().to_uppercase();
        let stats = asked(simulator, &format!("/coinbase/products/{code}-USD/stats")).await;
        let (open, last) = (number(&stats["open"]), number(&stats["last"]));
        self.learn(Of::Coinbase, price, json!(last));
        self.learn(Of::Coinbase, change, json!((last - open) / open * 100.0));

        let code = if symbol == Symbol::Btc { "XBT" } else { &code };
        let path = format!("/kraken/0/public/Ticker?pair={code}USD");
        let answer = asked(simulator, &path).await;
        let result = answer["result"].as_object().expect("an object");
        let pair = result.values().next().expect("the one pair");
        self.learn(Of::Kraken, price, parsed(&pair["c"][0]));
    }

    async fn learn_market(&mut self, simulator: &Simulator) {
        let global = asked(simulator, "/coingecko/api/v3/global").await;
        let now = asked(simulator, "/cmc/v1/global-metrics/quotes/latest").await;
        let dollars = "/data/quote/USD";
        for (figure, at_coingecko, at_cmc) in [
            (
                Figure::MarketCap,
                "/data/total_market_cap/usd",
                "total_market_cap",
            ),
            (
                Figure::Volume24h,
                "/data/total_volume/usd",
                "total_volume_24h",
            ),
            (
                Figure::MarketCapChange24h,
                "/data/market_cap_change_percentage_24h_usd",
                "total_market_cap_yesterday_percentage_change",
            ),
        ] {
            self.learn(Of::CoinGecko, figure, at(&global, at_coingecko));
            let path = format!("{dollars}/{at_cmc}");
            self.learn(Of::CoinMarketCap, figure, at(&now, &path));
        }
        for (figure, coin) in [(Figure::BtcShare, "btc"), (Figure::EthShare, "eth")] {
            let path = format!("/data/market_cap_percentage/{coin}");
            self.learn(Of::CoinGecko, figure, at(&global, &path));
            let path = format!("/data/{coin}_dominance");
            self.learn(Of::CoinMarketCap, figure, at(&now, &path));
        }
        let index = asked(simulator, "/fng/fng/?limit=1").await;
        let entry = &index["data"][0];
        self.learn(
            Of::AlternativeMe,
            Figure::FearGreed,
            parsed(&entry["value"]),
        );
        let label = entry["value_classification"].clone();
        self.learn(Of::AlternativeMe, Figure::FearGreedLabel, label);
        for fund in Fund::ALL {
            let path = format!("/finnhub/api/v1/quote?symbol={}", fund.code());
            let quote = asked(simulator, &path).await;
            self.learn(Of::Finnhub, Figure::FundPrice(fund), quote["c"].clone());
            self.learn(Of::Finnhub, Figure::FundChange(fund), quote["dp"].clone());
        }
        // Whoever has the candles computes the same.
        let path = format!(
            "/taapi/rsi?secret={}&exchange=binance&symbol=BTC/USDT&interval=1d&period=14&backtrack=1",
            keys::TAAPI_SECRET
        );
        let rsi = asked(simulator, &path).await["value"].clone();
        for of in [Of::Binance, Of::Coinbase, Of::Kraken, Of::Taapi] {
            self.learn(of, Figure::BtcRsi14, rsi.clone());
        }
    }

    fn learn(&mut self, of: Of, figure: Figure, value: Value) {
        assert!(!value.is_null(), "{of:?} says nothing of {figure:?}");
        self.0.insert((of, figure), value);
    }
}

async fn asked(simulator: &Simulator, path: &str) -> Value {
    let request = Request::get(path)
        .header(USER_AGENT, "the-truth")
        .header("x-cmc_pro_api_key", keys::CMC_API_KEY)
        .header("x-finnhub-token", keys::FINNHUB_API_KEY)
        .body(Body::empty())
        .expect("a sound request");
    let mut router = simulator.router();
    let response = router.call(request).await.expect("infallible");
    assert_eq!(response.status(), 200, "{path}");
    let body = to_bytes(response.into_body(), usize::MAX).await;
    serde_json::from_slice(&body.expect("a body")).expect("JSON")
}

fn at(value: &Value, pointer: &str) -> Value {
    value.pointer(pointer).cloned().unwrap_or_default()
}

fn parsed(text: &Value) -> Value {
    json!(number(text))
}

fn number(text: &Value) -> f64 {
    let text = text.as_str().expect("a text");
    text.parse().expect("a number")
}

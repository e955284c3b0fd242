//! A call of every source.

use market_sim::Source;

/// A call of each source, and where its answer has a figure.
pub(crate) const CALLS: [(Source, &str, &str); 8] = [
    (
        Source::Binance,
        "/binance/api/v3/ticker/24hr?symbol=BTCUSDT",
        "/lastPrice",
    ),
    (
        Source::CoinGecko,
        "/coingecko/api/v3/simple/price?ids=bitcoin&vs_currencies=usd",
        "/bitcoin/usd",
    ),
    (Source::Fng, "/fng/fng/", "/data/0/value"),
    (
        Source::Taapi,
        "/taapi/sma?secret=simulated-taapi-secret&exchange=binance&symbol=BTC/USDT&interval=1h",
        "/value",
    ),
    (
        Source::Cmc,
        "/cmc/v1/global-metrics/quotes/latest",
        "/data/quote/USD/total_volume_24h",
    ),
    (Source::Finnhub, "/finnhub/api/v1/quote?symbol=SPY", "/c"),
    (
        Source::Coinbase,
        "/coinbase/products/BTC-USD/ticker",
        "/price",
    ),
    (
        Source::Kraken,
        "/kraken/0/public/Ticker?pair=XBTUSD",
        "/result/XXBTZUSD/c/0",
    ),
];

//! What providers grant, and whether it was kept.

use std::time::Duration;

use market_sim::Source;

use super::{weather::DAY, world::Call};

/// So much in any span of this length.
struct Quota {
    source: Source,
    most: u32,
    within: Duration,
}

/// What CoinGecko and CoinMarketCap grant by the month is spent evenly: a thirty-first of it a day,
/// and what may be asked at once when a process starts.
const COINGECKO_DAY: u32 = 10_000 / 31 + 30;
const COINMARKETCAP_DAY: u32 = 15_000 / 31 + 10;

const QUOTAS: [Quota; 9] = [
    // By weight, which is what its calls cost.
    per(Source::Binance, 6_000, 60),
    per(Source::CoinGecko, COINGECKO_DAY, DAY.as_secs()),
    per(Source::Cmc, COINMARKETCAP_DAY, DAY.as_secs()),
    per(Source::Cmc, 30, 60),
    per(Source::Fng, 60, 60),
    per(Source::Taapi, 1, 15),
    per(Source::Finnhub, 60, 60),
    per(Source::Kraken, 60, 60),
    // 15 at once, and 10 more in each second.
    per(Source::Coinbase, 25, 1),
];

/// Fails if any source was asked more often than it grants, in any span of time.
pub(crate) fn check(calls: &[Call]) {
    for quota in QUOTAS {
        let most = quota.busiest(calls);
        assert!(
            most <= quota.most,
            "{:?} was asked for {most} within {:?}, and grants {}",
            quota.source,
            quota.within,
            quota.most
        );
    }
}

const fn per(source: Source, most: u32, seconds: u64) -> Quota {
    Quota {
        source,
        most,
        within: Duration::from_secs(seconds),
    }
}

impl Quota {
    /// The most that was asked for in any span.
    fn busiest(&self, calls: &[Call]) -> u32 {
        let own: Vec<&Call> = calls
            .iter()
            .filter(|call| call.source == self.source)
            .collect();
        let (mut first, mut sum, mut most) = (0, 0, 0);
        for call in &own {
            sum += call.cost;
            while own[first].at + self.within <= call.at {
                sum -= own[first].cost;
                first += 1;
            }
            most = most.max(sum);
        }
        most
    }
}

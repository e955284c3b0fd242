//! CoinGecko's coins: prices, and the table of markets.

use serde_json::{Map, Value, json};

use super::{Refusal, dollars_per_wanted, figure};
use crate::api::call::Call;
use crate::api::moment::iso;
use crate::listing::{LISTINGS, Listing};
use crate::market::DAY_MS;
use crate::scene::Scene;
use crate::totals::{MARKETS, dollars_per, growth};

/// The figures of coins are made anew this often.
const ROUND_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const YEAR_DAYS: i64 = 365;
const SPARKLINE_HOURS: i64 = 168;
const MAX_PER_PAGE: usize = 250;

pub(super) fn prices(scene: &Scene<'_>, call: &Call) -> Result<Value, Refusal> {
    let list = |name: &str| {
        call.param(name)
            .ok_or_else(|| Refusal::Bad(format!("missing parameter {name}")))
    };
    let (ids, currencies) = (list("ids")?, list("vs_currencies")?);
    let places = match call.param("precision") {
        None | Some("full") => None,
        Some(text) => Some(
            text.parse()
                .ok()
                .filter(|places| *places <= 18)
                .ok_or_else(|| Refusal::Bad("invalid precision".into()))?,
        ),
    };
    let is_wanted = |name: &str| call.param(name) == Some("true");
    let scene = rounded(scene);
    let mut coins = Map::new();
    // Unknown ids and currencies are simply missing.
    for listing in ids.split(',').filter_map(Listing::of_gecko) {
        let row = Row::of(&scene, listing);
        let mut fields = Map::new();
        for currency in currencies.split(',') {
            let Some(rate) = dollars_per(&scene, currency) else {
                continue;
            };
            let price = in_places(row.price / rate, places);
            fields.insert(currency.to_owned(), price);
            for (include, name, value) in [
                ("include_market_cap", "market_cap", row.cap() / rate),
                ("include_24hr_vol", "24h_vol", row.volume / rate),
                ("include_24hr_change", "24h_change", row.change()),
            ] {
                if is_wanted(include) {
                    fields.insert(format!("{currency}_{name}"), json!(value));
                }
            }
        }
        if is_wanted("include_last_updated_at") {
            let seconds = scene.now_ms().div_euclid(1_000);
            fields.insert("last_updated_at".to_owned(), json!(seconds));
        }
        coins.insert(listing.gecko.to_owned(), Value::Object(fields));
    }
    Ok(Value::Object(coins))
}

pub(super) fn markets(scene: &Scene<'_>, call: &Call) -> Result<Value, Refusal> {
    let scene = rounded(scene);
    let rate = dollars_per_wanted(&scene, call)?;
    let number = |name: &str, default: usize| match call.param(name) {
        None => Ok(default),
        Some(text) => text
            .parse::<usize>()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| Refusal::Bad(format!("invalid {name}"))),
    };
    let per_page = number("per_page", 100)?.min(MAX_PER_PAGE);
    let page = number("page", 1)?;
    let windows = windows(call)?;

    let mut rows: Vec<Row> = LISTINGS
        .iter()
        .map(|listing| Row::of(&scene, listing))
        .collect();
    rows.sort_by(|left, right| right.cap().total_cmp(&left.cap()));
    let ids = call.param("ids").filter(|ids| !ids.is_empty());
    let is_wanted =
        |row: &Row| ids.is_none_or(|ids| ids.split(',').any(|id| id == row.listing.gecko));
    let table = rows.iter().enumerate().filter(|(_, row)| is_wanted(row));
    let mut table: Vec<Value> = table
        .map(|(place, row)| {
            let mut line = row.line(&scene, rate);
            line["market_cap_rank"] = json!(place + 1);
            for (name, length_ms) in &windows {
                let name = format!("price_change_percentage_{name}_in_currency");
                line[name] = json!(row.change_over(&scene, *length_ms));
            }
            if call.param("sparkline") == Some("true") {
                line["sparkline_in_7d"] = json!({"price": row.sparkline(&scene, rate)});
            }
            line
        })
        .collect();
    if call.param("order") == Some("market_cap_asc") {
        table.reverse();
    }
    let first = (page - 1).saturating_mul(per_page);
    Ok(table.into_iter().skip(first).take(per_page).collect())
}

/// The windows over which the change is wanted as well, with their lengths.
fn windows(call: &Call) -> Result<Vec<(&str, i64)>, Refusal> {
    let Some(list) = call.param("price_change_percentage") else {
        return Ok(Vec::new());
    };
    let window = |name| match name {
        "1h" => Ok((name, HOUR_MS)),
        "24h" => Ok((name, DAY_MS)),
        "7d" => Ok((name, 7 * DAY_MS)),
        "14d" => Ok((name, 14 * DAY_MS)),
        "30d" => Ok((name, 30 * DAY_MS)),
        "200d" => Ok((name, 200 * DAY_MS)),
        "1y" => Ok((name, YEAR_DAYS * DAY_MS)),
        _ => Err(Refusal::Bad("invalid price_change_percentage".into())),
    };
    list.split(',').map(window).collect()
}

fn rounded<'a>(scene: &Scene<'a>) -> Scene<'a> {
    scene.at(scene.now_ms().div_euclid(ROUND_MS) * ROUND_MS)
}

fn in_places(value: f64, places: Option<u32>) -> Value {
    let Some(places) = places else {
        return figure(value);
    };
    let unit = 10_f64.powi(places as i32);
    figure((value * unit).round() / unit)
}

/// A coin's figures, in dollars.
struct Row {
    listing: &'static Listing,
    price: f64,
    open: f64,
    high: f64,
    low: f64,
    volume: f64,
}

/// An extreme of the price, and the first moment of its day.
struct Extreme {
    price: f64,
    at_ms: i64,
}

impl Row {
    fn of(scene: &Scene<'_>, listing: &'static Listing) -> Self {
        let day = scene.day(listing.coin);
        Self {
            listing,
            price: day.close.as_f64(),
            open: day.open.as_f64(),
            high: day.high.as_f64(),
            low: day.low.as_f64(),
            volume: day.turnover.as_f64() * MARKETS,
        }
    }

    fn cap(&self) -> f64 {
        self.price * self.listing.coin.traits().supply
    }

    fn change(&self) -> f64 {
        growth(self.price, self.open)
    }

    /// `rate`: dollars per unit of the currency.
    fn line(&self, scene: &Scene<'_>, rate: f64) -> Value {
        let traits = self.listing.coin.traits();
        let money = |dollars: f64| figure(dollars / rate);
        let whole = |dollars: f64| figure((dollars / rate).round());
        let (highest, lowest) = self.extremes(scene);
        // Ether was sold to its first owners, and CoinGecko remembers at what price.
        let roi = match traits.asset {
            "eth" => json!({"times": 46.75, "currency": "btc", "percentage": 4_675.2}),
            _ => Value::Null,
        };
        json!({
            "id": self.listing.gecko,
            "symbol": traits.asset,
            "name": self.listing.name,
            "image": format!("https://images.example/{}.png", self.listing.gecko),
            "current_price": money(self.price),
            "market_cap": whole(self.cap()),
            "market_cap_rank": null,
            "fully_diluted_valuation": traits.max_supply.map(|most| whole(self.price * most)),
            "total_volume": whole(self.volume),
            "high_24h": money(self.high),
            "low_24h": money(self.low),
            "price_change_24h": money(self.price - self.open),
            "price_change_percentage_24h": self.change(),
            "market_cap_change_24h": whole((self.price - self.open) * traits.supply),
            "market_cap_change_percentage_24h": self.change(),
            "circulating_supply": figure(traits.supply),
            "total_supply": figure(traits.supply),
            "max_supply": traits.max_supply.map(figure),
            "ath": money(highest.price),
            "ath_change_percentage": growth(self.price, highest.price),
            "ath_date": iso(highest.at_ms),
            "atl": money(lowest.price),
            "atl_change_percentage": growth(self.price, lowest.price),
            "atl_date": iso(lowest.at_ms),
            "roi": roi,
            "last_updated": iso(scene.now_ms()),
        })
    }

    fn change_over(&self, scene: &Scene<'_>, length_ms: i64) -> f64 {
        let before = scene.at(scene.now_ms() - length_ms);
        growth(self.price, before.price(self.listing.coin).as_f64())
    }

    /// The price of every full hour of the last week.
    fn sparkline(&self, scene: &Scene<'_>, rate: f64) -> Vec<f64> {
        let hour_ms = scene.now_ms().div_euclid(HOUR_MS) * HOUR_MS;
        let price = |back| {
            let then = scene.at(hour_ms - back * HOUR_MS);
            then.price(self.listing.coin).as_f64() / rate
        };
        (0..SPARKLINE_HOURS).rev().map(price).collect()
    }

    /// The highest and the lowest price: of the last year, so that finding them stays cheap.
    fn extremes(&self, scene: &Scene<'_>) -> (Extreme, Extreme) {
        let last_ms = scene.last_ms(self.listing.coin);
        let midnight = last_ms.div_euclid(DAY_MS) * DAY_MS;
        let (mut highest, mut lowest) = (
            Extreme {
                price: self.high,
                at_ms: midnight,
            },
            Extreme {
                price: self.low,
                at_ms: midnight,
            },
        );
        for back in 1..YEAR_DAYS {
            let at_ms = midnight - back * DAY_MS;
            let day = scene.span(self.listing.coin, at_ms, at_ms + DAY_MS - 1);
            if day.high.as_f64() > highest.price {
                highest = Extreme {
                    price: day.high.as_f64(),
                    at_ms,
                };
            }
            if day.low.as_f64() < lowest.price {
                lowest = Extreme {
                    price: day.low.as_f64(),
                    at_ms,
                };
            }
        }
        (highest, lowest)
    }
}

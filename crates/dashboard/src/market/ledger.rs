//! The last good figures, group by group: what is due to be asked, and what each figure is worth.
//! Pure; the time is passed in.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    batch::Batch,
    figure::{Figure, Group, Reading, Reason, Sample, State, Value},
    source::Source,
    stock::Fund,
    summary::Summary,
    symbol::Symbol,
};
use crate::config::Config;

/// Who wants new figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// A reader who missed.
    Round,
    /// The refresher: nobody waits for the slowest source, which may take longer.
    Background,
    /// A person who asked for it: prices need not wait for a refresher that is set to be slow.
    Refresh,
}

/// A refresh that follows the last round sooner than this gets that round's figures.
pub(crate) const REFRESH_PAUSE: Duration = Duration::from_secs(10);

/// What the sources publish at; upstreams.md 2.8.
const GLOBAL_INTERVAL: Duration = Duration::from_secs(600);
const FEAR_GREED_INTERVAL: Duration = Duration::from_secs(3_600);
const US_STOCKS_INTERVAL: Duration = Duration::from_secs(60);
/// One call a minute buys a second opinion on every price.
const CROSS_CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// Two opinions that are further apart than this are not about the same moment.
const SAME_MOMENT: Duration = Duration::from_secs(120);
/// Two sources that differ by more than a fifth: one of them is wrong, and nobody knows which.
const MOST_APART: f64 = 1.2;

/// How often groups are asked, and how long their values last.
#[derive(Clone, Debug)]
struct Pace {
    round: Duration,
    candles: Duration,
    /// What a round may take: a value is not stale for having waited for it.
    slack: Duration,
}

impl Pace {
    fn interval(&self, group: Group) -> Duration {
        match group {
            Group::Prices => self.round,
            Group::Candles => self.candles,
            Group::Global => GLOBAL_INTERVAL,
            Group::FearGreed => FEAR_GREED_INTERVAL,
            Group::UsStocks => US_STOCKS_INTERVAL,
            Group::CrossCheck => CROSS_CHECK_INTERVAL.max(self.round),
        }
    }

    /// A group whose interval has not passed stays fresh, so the table's soft time is a floor.
    fn soft(&self, group: Group) -> Duration {
        let table = match group {
            Group::Prices => Duration::from_secs(15),
            Group::Candles => Duration::from_secs(60),
            Group::Global => GLOBAL_INTERVAL,
            Group::FearGreed => FEAR_GREED_INTERVAL,
            Group::UsStocks => US_STOCKS_INTERVAL,
            Group::CrossCheck => CROSS_CHECK_INTERVAL,
        };
        table.max(self.interval(group) + self.round + self.slack)
    }

    fn hard(&self, group: Group) -> Duration {
        group.hard().max(self.soft(group))
    }
}

/// The longest that any last good value is shown.
pub(crate) const LONGEST_HARD_TIME: Duration = Group::FearGreed.hard();

/// What is known of one group.
#[derive(Debug, Default)]
struct Page {
    samples: HashMap<Figure, Sample>,
    /// Figures that the latest answer held no good value for.
    rejected: HashMap<Figure, Reason>,
    /// Why the latest attempt as a whole failed.
    failed: Option<Reason>,
    /// When it was last asked, and how long to wait from then on.
    asked: Option<(Instant, Duration)>,
    /// What was read before that is out of date: it is due, whenever it was asked.
    hastened: Option<Instant>,
}

/// The last good figures.
#[derive(Debug)]
pub(crate) struct Ledger {
    pace: Pace,
    symbols: Vec<Symbol>,
    funds: Vec<Fund>,
    /// Rounds that began before the ledger was emptied may not write into it.
    generation: u64,
    pages: HashMap<Group, Page>,
    /// Until when each coin's streamed price needs no other source.
    streamed_until: HashMap<Symbol, Instant>,
}

/// The groups that a round is to ask, under the ledger's generation.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) groups: Vec<Group>,
    /// Whether prices come by stream, and need not be asked for.
    pub(crate) is_streamed: bool,
    generation: u64,
    at: Instant,
}

impl Ledger {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            pace: Pace {
                round: config.refresh_interval,
                candles: config.market_data_ttl,
                slack: config.upstream_timeout,
            },
            symbols: config.symbols.clone(),
            funds: config.funds(),
            generation: 0,
            pages: HashMap::new(),
            streamed_until: HashMap::new(),
        }
    }

    /// Empties it: the next round asks every source.
    pub(crate) fn forget(&mut self) {
        self.generation += 1;
        self.pages.clear();
        self.streamed_until.clear();
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The groups whose own interval has passed.
    pub(crate) fn claim(&self, demand: Demand, now: Instant) -> Claim {
        let is_streamed = self.is_streamed(now);
        let is_due = |group: &Group| {
            if *group == Group::Prices && is_streamed {
                return false;
            }
            let page = self.pages.get(group).filter(|page| page.hastened.is_none());
            let Some((at, wait)) = page.and_then(|page| page.asked) else {
                return true;
            };
            let wait = match (demand, group) {
                (Demand::Refresh, Group::Prices) => wait.min(REFRESH_PAUSE),
                _ => wait,
            };
            // A round that comes a moment early must not leave its prices to the next one.
            let tolerance = (wait / 10).min(Duration::from_millis(500));
            now + tolerance >= at + wait
        };
        let is_wanted = |group: &Group| *group != Group::UsStocks || !self.funds.is_empty();
        let groups = Group::ALL.into_iter().filter(is_wanted).filter(is_due);
        let groups = groups.collect();
        Claim {
            groups,
            is_streamed,
            generation: self.generation,
            at: now,
        }
    }

    /// Writes down what an attempt gave. A failed one leaves the last good values where they are.
    pub(crate) fn record(
        &mut self,
        claim: &Claim,
        group: Group,
        attempt: Result<Batch, Reason>,
        now: Timestamp,
    ) {
        if claim.generation != self.generation {
            return;
        }
        let interval = self.pace.interval(group);
        let soon = interval.min(self.pace.round);
        let hard = self.pace.hard(group);
        let witness = match group {
            Group::Prices => self.witness(),
            _ => HashMap::new(),
        };
        let page = self.pages.entry(group).or_default();
        // Who began before knows nothing of what changed since.
        page.hastened = page.hastened.filter(|since| claim.at <= *since);
        match attempt {
            Err(reason) => {
                page.failed = Some(reason);
                page.asked = Some((claim.at, soon));
            }
            Ok(batch) => {
                page.failed = None;
                page.rejected.clear();
                // Candles may come out of the cache: they last from when they reached us.
                let held_for = batch.held_for(now);
                let lasts = batch.lasts.unwrap_or(interval).min(interval);
                let wait = lasts.saturating_sub(held_for);
                let is_good = batch.has_value();
                page.asked = Some((claim.at, if is_good { wait } else { soon }));
                page.take(batch, &witness, hard, group.first_source());
            }
        }
        if group == Group::CrossCheck {
            self.hear_witness();
        }
    }

    /// Takes over prices that came by stream, each for as long as the batch lasts.
    pub(crate) fn stream(&mut self, batch: Batch, now: Instant) {
        let hard = self.pace.hard(Group::Prices);
        let witness = self.witness();
        let until = now + batch.lasts.unwrap_or_default();
        let page = self.pages.entry(Group::Prices).or_default();
        // A failed attempt concerns only those that have not come by stream since.
        if let Some(reason) = page.failed.take() {
            for figure in Figure::all(&self.symbols, &[]) {
                page.rejected.entry(figure).or_insert(reason);
            }
        }
        for &figure in batch.figures.keys() {
            page.rejected.remove(&figure);
            if let Figure::Price(symbol) = figure {
                self.streamed_until.insert(symbol, until);
            }
        }
        page.take(batch, &witness, hard, Group::Prices.first_source());
    }

    /// Nothing comes by stream any more: prices are due as if nothing ever had.
    pub(crate) fn end_stream(&mut self) {
        self.streamed_until.clear();
    }

    /// Makes a group due at once.
    pub(crate) fn hasten(&mut self, group: Group, now: Instant) {
        self.pages.entry(group).or_default().hastened = Some(now);
    }

    fn is_streamed(&self, now: Instant) -> bool {
        let is_young = |symbol| {
            self.streamed_until
                .get(symbol)
                .is_some_and(|until| now < *until)
        };
        self.symbols.iter().all(is_young)
    }

    /// What the second source last said of prices.
    fn witness(&self) -> HashMap<Figure, Sample> {
        let page = self.pages.get(&Group::CrossCheck);
        page.map(|page| page.samples.clone()).unwrap_or_default()
    }

    /// What the witness contradicts is not good until the two agree again.
    fn hear_witness(&mut self) {
        let (witness, hard) = (self.witness(), self.pace.hard(Group::Prices));
        let Some(prices) = self.pages.get_mut(&Group::Prices) else {
            return;
        };
        let mut said = Batch::new();
        for (figure, sample) in &prices.samples {
            said.figures.insert(*figure, Ok(sample.clone()));
        }
        let doubted = prices.doubted(&said, &witness, hard, Group::Prices.first_source());
        let doubted = doubted.into_iter();
        let doubted = doubted.map(|figure| (figure, Reason::SourcesDisagree));
        prices.rejected.extend(doubted);
    }

    /// Writes down that a group keeps its round waiting. It is asked until `wait` after the claim,
    /// so nobody asks it a second time meanwhile.
    pub(crate) fn defer(&mut self, claim: &Claim, group: Group, wait: Duration) {
        if claim.generation == self.generation {
            let page = self.pages.entry(group).or_default();
            page.failed = Some(Reason::TimedOut);
            page.asked = Some((claim.at, wait));
        }
    }

    /// Takes over the figures of an earlier summary where nothing newer is known. A group that is
    /// whole there is not asked again before its interval has passed.
    pub(crate) fn seed(&mut self, summary: &Summary, now: Instant, shown: Timestamp) {
        let mut renewed = HashSet::new();
        for reading in summary.readings() {
            let Some(sample) = reading.state.sample() else {
                continue;
            };
            let group = reading.figure.group();
            let page = self.pages.entry(group).or_default();
            let is_newer = |known: &Sample| known.received_at >= sample.received_at;
            if !page.samples.get(&reading.figure).is_some_and(is_newer) {
                page.samples.insert(reading.figure, sample.clone());
                renewed.insert(group);
            }
        }
        let figures = Figure::all(&self.symbols, &self.funds);
        for group in Group::ALL {
            let ages: Option<Vec<Duration>> = figures
                .iter()
                .filter(|figure| figure.group() == group)
                .map(|&figure| match summary.state(figure) {
                    Some(State::Fresh(sample)) => Some(elapsed(sample.received_at, shown)),
                    _ => None,
                })
                .collect();
            let oldest = ages.and_then(|ages| ages.into_iter().max());
            let page = self.pages.entry(group).or_default();
            let Some(age) = oldest else { continue };
            // Another leader may have asked since this instance did. A failure here that is older is
            // made good; what is only this instance's own answer come back leaves all as it is.
            let is_later = |at| renewed.contains(&group) && now.checked_sub(age) > Some(at);
            match page.asked {
                None => {}
                Some((at, _)) if is_later(at) => {
                    page.failed = None;
                    page.rejected.clear();
                }
                Some(_) => continue,
            }
            page.asked = Some((now, self.pace.interval(group).saturating_sub(age)));
        }
    }

    /// Every figure's state.
    pub(crate) fn readings(&self, now: Timestamp) -> Vec<Reading> {
        Figure::all(&self.symbols, &self.funds)
            .into_iter()
            .map(|figure| Reading {
                figure,
                state: self.state(figure, now),
            })
            .collect()
    }

    fn state(&self, figure: Figure, now: Timestamp) -> State {
        let group = figure.group();
        let Some(page) = self.pages.get(&group) else {
            return State::Missing(Reason::NotAskedYet);
        };
        let trouble = page.failed.or_else(|| page.rejected.get(&figure).copied());
        let Some(sample) = page.samples.get(&figure) else {
            return State::Missing(trouble.unwrap_or(Reason::NotAskedYet));
        };
        let age = sample.age(group, now);
        if age > self.pace.hard(group) {
            return State::Missing(trouble.unwrap_or(Reason::TooOld));
        }
        match trouble {
            Some(reason) => State::Stale(sample.clone(), reason),
            None if age > self.pace.soft(group) => State::Stale(sample.clone(), Reason::TooOld),
            None => State::Fresh(sample.clone()),
        }
    }
}

impl Page {
    /// A value takes the place of the last good one, unless it is doubted: then that one stays, and
    /// counts as stale. Never something in between.
    fn take(
        &mut self,
        batch: Batch,
        witness: &HashMap<Figure, Sample>,
        hard: Duration,
        first: Source,
    ) {
        let doubted = self.doubted(&batch, witness, hard, first);
        for (figure, read) in batch.figures {
            let is_doubted = doubted.contains(&figure);
            let rejected = match &read {
                Err(reason) => Some(*reason),
                Ok(_) => is_doubted.then_some(Reason::SourcesDisagree),
            };
            self.rejected
                .extend(rejected.map(|reason| (figure, reason)));
            let Ok(sample) = read else { continue };
            if !is_doubted || self.last_good(figure, &sample, hard).is_none() {
                self.samples.insert(figure, sample);
            }
        }
    }

    /// Figures that somebody contradicts, and those that fall with them: the change of a doubted
    /// price, and prices of which the witness knows nothing, from a source that it contradicts.
    fn doubted(
        &self,
        batch: &Batch,
        witness: &HashMap<Figure, Sample>,
        hard: Duration,
        first: Source,
    ) -> HashSet<Figure> {
        let good = || {
            let reads = batch.figures.iter();
            reads.filter_map(|(figure, read)| Some((*figure, read.as_ref().ok()?)))
        };
        let is_denied = |figure: Figure, sample: &Sample| {
            let said = witness.get(&figure).filter(|_| figure.is_level());
            said.is_some_and(|said| contradicts(said, sample))
        };
        // Who is asked first needs nobody's consent but the witness's.
        let is_odd = |figure: Figure, sample: &Sample| {
            let last = self.last_good(figure, sample, hard);
            let stands_in = figure.is_level() && sample.source != first;
            stands_in && last.is_some_and(|last| is_apart(last, sample))
        };
        let denied = good().filter(|&(figure, sample)| is_denied(figure, sample));
        let liars: Vec<Source> = denied.map(|(_, sample)| sample.source).collect();
        let is_doubted = |figure: Figure, sample: &Sample| {
            let is_unheard = !witness.contains_key(&figure) && liars.contains(&sample.source);
            is_denied(figure, sample) || is_odd(figure, sample) || figure.is_level() && is_unheard
        };
        let doubted = good().filter(|&(figure, sample)| is_doubted(figure, sample));
        let mut doubted: HashSet<Figure> = doubted.map(|(figure, _)| figure).collect();
        let is_of_doubted = |figure: &Figure| {
            let changed = figure.changed();
            changed.is_some_and(|changed| doubted.contains(&changed))
        };
        let changes: Vec<Figure> = good()
            .map(|(figure, _)| figure)
            .filter(is_of_doubted)
            .collect();
        doubted.extend(changes);
        doubted
    }

    /// The last good value, if it still counted when this one came.
    fn last_good(&self, figure: Figure, sample: &Sample, hard: Duration) -> Option<&Sample> {
        let last = self.samples.get(&figure);
        last.filter(|last| elapsed(last.received_at, sample.received_at) <= hard)
    }
}

impl Batch {
    /// How long ago its newest value reached us.
    fn held_for(&self, now: Timestamp) -> Duration {
        let received = self.figures.values().flatten();
        let newest = received.map(|sample| sample.received_at).max();
        newest.map_or(Duration::ZERO, |newest| elapsed(newest, now))
    }
}

/// Whether two sources say so different things of about the same moment that one must be wrong.
fn contradicts(witness: &Sample, sample: &Sample) -> bool {
    let between = witness.received_at.duration_since(sample.received_at);
    between.unsigned_abs() <= SAME_MOMENT && is_apart(witness, sample)
}

fn is_apart(one: &Sample, other: &Sample) -> bool {
    let number = |sample: &Sample| match sample.value {
        Value::Number(number) => Some(number),
        Value::Whole(number) => Some(f64::from(number)),
        Value::Text(_) => None,
    };
    let (Some(a), Some(b)) = (number(one), number(other)) else {
        return false;
    };
    one.source != other.source && a.max(b) > a.min(b) * MOST_APART
}

/// A wall clock that was set back makes nothing younger than new.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::summary::Origin;

    const GROUP: Group = Group::FearGreed;

    fn shown(s: u64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + i64::try_from(s).unwrap()).unwrap()
    }

    fn batch(value: u32, at: Timestamp) -> Batch {
        let text = Value::Text("Fear".to_owned());
        let mut batch = Batch::new();
        let source = Source::AlternativeMe;
        batch.note(Figure::FearGreed, source, at, Ok((Value::Whole(value), at)));
        batch.note(Figure::FearGreedLabel, source, at, Ok((text, at)));
        batch
    }

    fn price(source: Source, price: f64, s: u64) -> Batch {
        let (mut batch, at) = (Batch::new(), shown(s));
        let figure = Figure::Price(Symbol::Btc);
        batch.note(figure, source, at, Ok((Value::Number(price), at)));
        batch
    }

    /// What the price is worth after these answers, a second apart.
    fn price_after(answers: &[(Group, Source, f64)]) -> State {
        let mut ledger = ledger();
        let claim = claim_of(&ledger, Instant::now());
        for (s, (group, source, number)) in (0..).zip(answers) {
            ledger.record(&claim, *group, Ok(price(*source, *number, s)), shown(s));
        }
        ledger.state(Figure::Price(Symbol::Btc), shown(10))
    }

    fn said(state: &State) -> Option<(Source, f64)> {
        let sample = state.sample()?;
        match sample.value {
            Value::Number(number) => Some((sample.source, number)),
            _ => None,
        }
    }

    #[test]
    fn another_source_that_differs_by_more_than_a_fifth_makes_the_price_stale_and_replaces_nothing()
    {
        let first = (Group::Prices, Source::Binance, 100.0);
        for (second, is_taken) in [(119.0, true), (121.0, false), (84.0, true), (83.0, false)] {
            let state = price_after(&[first, (Group::Prices, Source::Coinbase, second)]);
            if is_taken {
                assert!(matches!(state, State::Fresh(_)), "{second}: {state:?}");
                assert_eq!(said(&state), Some((Source::Coinbase, second)));
            } else {
                assert_eq!(state.reason(), Some(Reason::SourcesDisagree), "{second}");
                assert_eq!(said(&state), Some((Source::Binance, 100.0)));
            }
        }
    }

    #[test]
    fn a_first_source_that_the_witness_contradicts_is_not_believed() {
        let witness = (Group::CrossCheck, Source::Kraken, 100.0);
        let state = price_after(&[
            (Group::Prices, Source::Binance, 101.0),
            witness,
            (Group::Prices, Source::Binance, 150.0),
        ]);
        assert_eq!(state.reason(), Some(Reason::SourcesDisagree));
        assert_eq!(said(&state), Some((Source::Binance, 101.0)));
        let state = price_after(&[(Group::Prices, Source::Binance, 150.0), witness]);
        assert_eq!(state.reason(), Some(Reason::SourcesDisagree));
        let agreeing = (Group::CrossCheck, Source::Kraken, 149.0);
        let state = price_after(&[
            (Group::Prices, Source::Binance, 150.0),
            witness,
            agreeing,
            (Group::Prices, Source::Binance, 151.0),
        ]);
        assert!(matches!(state, State::Fresh(_)), "{state:?}");
    }

    #[test]
    fn what_belongs_to_a_contradicted_price_is_not_believed_either() {
        let mut ledger = ledger();
        let claim = claim_of(&ledger, Instant::now());
        let prices = |btc: f64, bnb: f64, change: f64, s| {
            let (mut batch, at) = (price(Source::Binance, btc, s), shown(s));
            for (figure, number) in [
                (Figure::Price(Symbol::Bnb), bnb),
                (Figure::Change24h(Symbol::Btc), change),
            ] {
                batch.note(figure, Source::Binance, at, Ok((Value::Number(number), at)));
            }
            Ok(batch)
        };
        let witness = Ok(price(Source::Kraken, 100.0, 1));
        ledger.record(&claim, Group::Prices, prices(100.0, 10.0, 1.0, 0), shown(0));
        ledger.record(&claim, Group::CrossCheck, witness, shown(1));
        ledger.record(&claim, Group::Prices, prices(150.0, 15.0, 2.0, 2), shown(2));
        for (figure, before) in [
            (Figure::Price(Symbol::Btc), 100.0),
            // The witness knows nothing of it.
            (Figure::Price(Symbol::Bnb), 10.0),
            (Figure::Change24h(Symbol::Btc), 1.0),
        ] {
            let state = ledger.state(figure, shown(3));
            assert_eq!(said(&state), Some((Source::Binance, before)), "{figure:?}");
            assert_eq!(state.reason(), Some(Reason::SourcesDisagree), "{figure:?}");
        }
    }

    #[test]
    fn a_first_source_is_believed_again_whatever_stood_in_for_it() {
        let state = price_after(&[
            (Group::Prices, Source::Coinbase, 100.0),
            (Group::Prices, Source::Binance, 200.0),
        ]);
        assert_eq!(said(&state), Some((Source::Binance, 200.0)));
        assert!(matches!(state, State::Fresh(_)));
    }

    fn ledger() -> Ledger {
        Ledger::new(&Config::defaults())
    }

    fn claim_of(ledger: &Ledger, at: Instant) -> Claim {
        ledger.claim(Demand::Round, at)
    }

    fn state(ledger: &Ledger, s: u64) -> State {
        ledger.state(Figure::FearGreed, shown(s))
    }

    #[test]
    fn a_figure_that_was_never_read_is_missing_and_not_a_number() {
        assert_eq!(state(&ledger(), 0), State::Missing(Reason::NotAskedYet));
    }

    #[test]
    fn a_failed_attempt_leaves_the_last_good_value_marked_stale_until_its_hard_time() {
        let start = Instant::now();
        let mut ledger = ledger();
        let claim = claim_of(&ledger, start);
        ledger.record(&claim, GROUP, Ok(batch(40, shown(0))), shown(0));
        assert!(matches!(state(&ledger, 1), State::Fresh(_)));
        let claim = claim_of(&ledger, start + FEAR_GREED_INTERVAL);
        ledger.record(&claim, GROUP, Err(Reason::ServerFailed), shown(3_600));
        assert!(matches!(
            state(&ledger, 3_600),
            State::Stale(_, Reason::ServerFailed)
        ));
        let past_hard = LONGEST_HARD_TIME.as_secs() + 1;
        assert_eq!(
            state(&ledger, past_hard),
            State::Missing(Reason::ServerFailed)
        );
    }

    #[test]
    fn a_source_is_asked_again_only_after_its_own_interval() {
        let start = Instant::now();
        let mut ledger = ledger();
        let claim = claim_of(&ledger, start);
        // Nobody asks for funds without a key.
        let groups = Group::ALL.map(|group| (group != Group::UsStocks).then_some(group));
        assert_eq!(
            claim.groups,
            groups.into_iter().flatten().collect::<Vec<_>>()
        );
        for &group in &claim.groups {
            let read = if group == GROUP {
                batch(1, shown(0))
            } else {
                price(group.first_source(), 1.0, 0)
            };
            ledger.record(&claim, group, Ok(read), shown(0));
        }
        let due = |s| {
            ledger
                .claim(Demand::Round, start + Duration::from_secs(s))
                .groups
        };
        assert!(due(5).is_empty());
        assert_eq!(due(10), [Group::Prices]);
        assert_eq!(due(60), [Group::Prices, Group::Candles, Group::CrossCheck]);
        assert_eq!(
            due(600),
            [
                Group::Prices,
                Group::Candles,
                Group::Global,
                Group::CrossCheck
            ]
        );
        assert_eq!(due(3_600), claim.groups);
    }

    #[test]
    fn a_source_that_failed_is_asked_again_in_the_next_round() {
        let start = Instant::now();
        let mut ledger = ledger();
        let claim = claim_of(&ledger, start);
        ledger.record(&claim, GROUP, Err(Reason::TimedOut), shown(8));
        let later = ledger.claim(Demand::Round, start + Duration::from_secs(10));
        assert!(later.groups.contains(&GROUP));
    }

    #[test]
    fn a_round_that_began_before_the_ledger_was_emptied_writes_nothing() {
        let mut ledger = ledger();
        let claim = claim_of(&ledger, Instant::now());
        ledger.forget();
        ledger.record(&claim, GROUP, Ok(batch(40, shown(0))), shown(0));
        assert_eq!(state(&ledger, 0), State::Missing(Reason::NotAskedYet));
    }

    #[test]
    fn a_seeded_group_is_served_and_not_asked_before_it_is_due() {
        let now = Instant::now();
        let mut first = ledger();
        let claim = claim_of(&first, now);
        first.record(&claim, GROUP, Ok(batch(40, shown(0))), shown(0));
        let summary = Summary::new(Origin::Live, shown(0), 1, first.readings(shown(0)));

        let mut second = ledger();
        second.seed(&summary, now, shown(1_800));
        assert!(matches!(state(&second, 1_800), State::Fresh(_)));
        let due = |s| {
            second
                .claim(Demand::Round, now + Duration::from_secs(s))
                .groups
        };
        assert!(!due(1_700).contains(&GROUP));
        assert!(due(1_800).contains(&GROUP));
        assert!(due(0).contains(&Group::Prices));
    }

    #[test]
    fn a_group_that_another_leader_asked_since_is_not_due_before_its_interval() {
        let start = Instant::now();
        let after = |s| start + Duration::from_secs(s);
        let mut here = ledger();
        let claim = claim_of(&here, start);
        here.record(&claim, GROUP, Ok(batch(40, shown(0))), shown(0));
        let mut there = ledger();
        let claim = claim_of(&there, after(3_500));
        there.record(&claim, GROUP, Ok(batch(41, shown(3_500))), shown(3_500));
        let pinned =
            |s, ledger: &Ledger| Summary::new(Origin::Live, shown(s), 1, ledger.readings(shown(s)));
        let summary = pinned(3_500, &there);
        let due = |ledger: &Ledger, s| claim_of(ledger, after(s)).groups.contains(&GROUP);

        // A failure that came before is made good by it, one that came after is not.
        let claim = claim_of(&here, after(3_400));
        here.record(&claim, GROUP, Err(Reason::TimedOut), shown(3_400));
        here.seed(&summary, after(3_510), shown(3_510));
        assert!(!due(&here, 7_000));
        assert!(matches!(state(&here, 3_510), State::Fresh(_)));
        assert!(due(&here, 7_100));
        let claim = claim_of(&here, after(7_100));
        here.record(&claim, GROUP, Err(Reason::TimedOut), shown(7_100));
        here.seed(&summary, after(7_105), shown(7_105));
        assert!(matches!(
            state(&here, 7_105),
            State::Stale(_, Reason::TimedOut)
        ));
        assert!(due(&here, 7_110));

        // One's own answer that comes back changes nothing: it lasts as long as its source said.
        let claim = claim_of(&here, after(8_000));
        let mut brief = batch(42, shown(8_001));
        brief.lasts = Some(Duration::from_secs(60));
        here.record(&claim, GROUP, Ok(brief), shown(8_001));
        let own = pinned(8_001, &here);
        here.seed(&own, after(8_002), shown(8_002));
        assert!(due(&here, 8_061));
    }

    fn streamed(symbols: &[Symbol], lasts: Duration) -> Batch {
        let mut batch = Batch::new();
        for &symbol in symbols {
            let (figure, read) = (Figure::Price(symbol), (Value::Number(1.0), shown(0)));
            batch.note(figure, Source::Binance, shown(0), Ok(read));
        }
        batch.lasts = Some(lasts);
        batch
    }

    #[test]
    fn prices_are_not_due_while_every_coins_streamed_one_lasts() {
        let (now, lasts) = (Instant::now(), Duration::from_secs(10));
        let mut ledger = ledger();
        let is_due = |ledger: &Ledger, s| {
            let claim = ledger.claim(Demand::Refresh, now + Duration::from_secs(s));
            claim.groups.contains(&Group::Prices)
        };
        ledger.stream(streamed(&Symbol::ALL[1..], lasts), now);
        assert!(is_due(&ledger, 0), "one coin did not come");
        ledger.stream(streamed(&Symbol::ALL[..1], lasts), now);
        assert!(!is_due(&ledger, 9));
        assert!(is_due(&ledger, 10));
        ledger.end_stream();
        assert!(is_due(&ledger, 0));
        ledger.stream(streamed(&Symbol::ALL, lasts), now);
        ledger.forget();
        assert!(is_due(&ledger, 0));
    }

    #[test]
    fn a_failed_attempt_does_not_concern_a_coin_that_came_by_stream_since() {
        let now = Instant::now();
        let mut ledger = ledger();
        ledger.stream(streamed(&Symbol::ALL, Duration::ZERO), now);
        let claim = claim_of(&ledger, now);
        ledger.record(&claim, Group::Prices, Err(Reason::TimedOut), shown(0));
        ledger.stream(streamed(&[Symbol::Eth], Duration::ZERO), now);
        let reason = |symbol| {
            let state = ledger.state(Figure::Price(symbol), shown(0));
            state.reason()
        };
        assert_eq!(reason(Symbol::Eth), None);
        assert_eq!(reason(Symbol::Btc), Some(Reason::TimedOut));
    }

    #[test]
    fn what_is_hastened_stays_due_until_a_read_that_began_later() {
        let start = Instant::now();
        let mut ledger = ledger();
        let before = claim_of(&ledger, start);
        let at = start + Duration::from_secs(1);
        ledger.hasten(GROUP, at);
        ledger.record(&before, GROUP, Ok(batch(1, shown(1))), shown(1));
        let after = claim_of(&ledger, at + Duration::from_secs(1));
        assert!(after.groups.contains(&GROUP));
        ledger.record(&after, GROUP, Ok(batch(1, shown(2))), shown(2));
        let claim = claim_of(&ledger, at + Duration::from_secs(2));
        assert!(!claim.groups.contains(&GROUP));
    }

    #[test]
    fn a_value_past_its_soft_time_is_stale_without_any_failure() {
        let mut ledger = ledger();
        let claim = claim_of(&ledger, Instant::now());
        ledger.record(&claim, GROUP, Ok(batch(40, shown(0))), shown(0));
        assert!(matches!(
            state(&ledger, 3 * 3_600),
            State::Stale(_, Reason::TooOld)
        ));
    }
}

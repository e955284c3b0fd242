//! A checker for what caches of several processes did: were the promises kept?
//!
//! A test that reads, removes and sets from several processes records what it did,
//! with the times of each call; the checker says whether any answer broke the
//! contract ([`guide::coherence`](crate::guide::coherence)). It needs no view of the
//! whole while the test runs: the processes may write logs that are put together at the end.
//!
//! # What is recorded
//!
//! The source is a counter per key that only grows: its *version*. Each value that
//! is cached carries the version it was made from. All times are of one monotonic
//! clock; processes of one host share one.
//!
//! - [`Read`]: an answer, when the call began and ended, where it came from, whether
//!   it said to be proven.
//! - [`Void`]: a removal or a set, when the call began and returned, and its *floor*:
//!   a version that the source had reached *before* the call began (for a set: the
//!   version that was set). A removal of many keys is one void for each of them,
//!   and says whether it took their values out of the store or changed an epoch.
//!
//! A set must not be overtaken by the source while it runs, or it brings an old
//! value back by its caller's wish: hold the source's lock for the key around both.
//!
//! # What is checked
//!
//! [`History::check`] is a pure function over what was recorded, in the order of
//! n log n. It needs no search, because versions say what is older:
//!
//! - **G1, G4** ([`Promise::OwnWrites`]) a read that begins after a void returned *in
//!   the same process*, well or not, is not below its floor;
//! - **G2** ([`Promise::FencedFills`]) a read answered by the store that nobody else's
//!   call of that key could have answered ([`Read::alone`]), and that begins after a
//!   void returned Ok *in any process*, is not below its floor: nothing older was
//!   stored afterwards. After `remove_tag` and `clear`, which leave the values where
//!   they are ([`Void::deletes`]), that holds from Δ after their return on;
//! - **G3, G5** ([`Promise::BoundedStaleness`]) a read that says to be proven is not
//!   below the floor of any void that returned Ok more than Δ (`max_staleness`) before
//!   the read began;
//! - ([`Promise::NoInvention`]) no read yields a version that the source had not
//!   reached when the read ended ([`History::reached`]).
//!
//! The largest staleness of a proven read is the time from the earliest return of a
//! void that it should have seen to the read's beginning: a lower bound of the truth.
//!
//! # In a test of your own
//!
//! ```
//! # use std::{sync::{Arc, atomic::{AtomicU64, Ordering::SeqCst}}, time::{Duration, Instant}};
//! use terrace::{Cache, testing::{MemoryStore, history::{History, Promise, Read, Void}}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
//! let delta = Duration::from_secs(1);
//! let memory = MemoryStore::new();
//! let process = || {
//!     let builder = Cache::<u64>::builder("prices").store(memory.sibling());
//!     builder.max_staleness(delta).build()
//! };
//! let processes = [process()?, process()?, process()?];
//! let source = Arc::new(AtomicU64::new(0));
//! let (mut history, start) = (History::new(delta), Instant::now());
//!
//! for version in 1..=100 {
//!     // One process changes the source, and then removes what was made from it.
//!     history.reached("btc", version, start.elapsed());
//!     source.store(version, SeqCst);
//!     let writer = version % 3;
//!     let began = start.elapsed();
//!     let outcome = processes[writer as usize].remove("btc").await;
//!     history.void(Void {
//!         process: Some(writer as u32),
//!         key: "btc",
//!         floor: version,
//!         deletes: true,
//!         ok: outcome.is_ok(),
//!         began,
//!         ended: start.elapsed(),
//!     });
//!     // All of them read.
//!     for (process, cache) in (0..).zip(&processes) {
//!         let source = Arc::clone(&source);
//!         let load = || async move { Ok::<_, std::io::Error>(source.load(SeqCst)) };
//!         let began = start.elapsed();
//!         let entry = cache.get_or_load("btc", load).await?;
//!         history.read(Read {
//!             process,
//!             key: "btc",
//!             version: Some(*entry),
//!             by: entry.source(),
//!             proven: entry.proven(),
//!             alone: true, // this test makes one call at a time
//!             began,
//!             ended: start.elapsed(),
//!         });
//!     }
//! }
//!
//! let verdict = history.check();
//! assert!(verdict.holds(), "{:#?}", verdict.violations);
//! // A checker that looked at nothing is green as well.
//! assert_eq!(verdict.reads, 300);
//! assert_eq!(verdict.tried[&Promise::FencedFills], 200);
//! # Ok(()) }
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::Hash,
    time::Duration,
};

use crate::entry::Source;

/// Violations that are kept with all that belongs to them; more are counted.
const KEPT_VIOLATIONS: usize = 20;

/// One answered read.
#[derive(Clone, Debug)]
pub struct Read<K> {
    /// The process; a restarted one is another.
    pub process: u32,
    /// What was asked for.
    pub key: K,
    /// The version in the answer; `None`: nothing there.
    pub version: Option<u64>,
    /// Where the answer came from.
    pub by: Source,
    /// Whether the answer said to be proven.
    pub proven: bool,
    /// Whether no other call of the key was under way in the process when this one
    /// began: then what the store answered was asked for by this call.
    pub alone: bool,
    /// Just before the call.
    pub began: Duration,
    /// Just after it.
    pub ended: Duration,
}

/// One removal, or set, of one key, that has returned.
#[derive(Clone, Debug)]
pub struct Void<K> {
    /// The process; `None` for a change behind the caches' backs.
    pub process: Option<u32>,
    /// What was removed or set.
    pub key: K,
    /// What the source had reached before the call began, or what was set.
    pub floor: u64,
    /// Whether it took value and lease of the key away in the store, as all do but
    /// `remove_tag` and `clear`: they change an epoch, and who has not heard of that
    /// may hand out what the store has for Δ.
    pub deletes: bool,
    /// Whether the call returned Ok. Otherwise it binds its own process alone.
    pub ok: bool,
    /// Just before the call.
    pub began: Duration,
    /// Just after it.
    pub ended: Duration,
}

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// G1 and G4: nothing older than a write of the same process.
    OwnWrites,
    /// G2: nothing older is stored after a removal.
    FencedFills,
    /// G3 and G5: nothing proven is older than Δ.
    BoundedStaleness,
    /// No value from nowhere.
    NoInvention,
}

/// A read that breaks a promise, and what it should have seen.
#[derive(Clone, Debug)]
pub struct Violation<K> {
    /// Which promise.
    pub promise: Promise,
    /// The read.
    pub read: Read<K>,
    /// The void with the floor that the read is below.
    pub void: Option<Void<K>>,
}

/// What the checker found.
#[derive(Clone, Debug)]
pub struct Verdict<K> {
    /// Reads that were looked at.
    pub reads: u64,
    /// Of these, answers that said to be proven.
    pub proven: u64,
    /// Removals and sets, one for each key.
    pub voids: u64,
    /// How many reads each promise was tried on: those with a void before them.
    pub tried: BTreeMap<Promise, u64>,
    /// How often each was broken.
    pub broken: BTreeMap<Promise, u64>,
    /// The first of them, with all that belongs to them.
    pub violations: Vec<Violation<K>>,
    /// The largest staleness of a proven read.
    pub largest_staleness: Duration,
}

impl<K> Verdict<K> {
    /// Whether every promise was kept.
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

/// What happened. Order does not matter.
#[derive(Clone, Debug)]
pub struct History<K> {
    max_staleness: Duration,
    reads: Vec<Read<K>>,
    voids: Vec<Void<K>>,
    reached: HashMap<K, Vec<(Duration, u64)>>,
}

impl<K: Clone + Eq + Hash + fmt::Debug> History<K> {
    /// An empty history of caches with this Δ.
    pub fn new(max_staleness: Duration) -> Self {
        Self {
            max_staleness,
            reads: Vec::new(),
            voids: Vec::new(),
            reached: HashMap::new(),
        }
    }

    /// Records an answered read.
    pub fn read(&mut self, read: Read<K>) {
        self.reads.push(read);
    }

    /// Records a removal or a set.
    pub fn void(&mut self, void: Void<K>) {
        self.voids.push(void);
    }

    /// Records that the source began to move a key to this version at this time.
    /// Optional; without any, values from nowhere are not looked for.
    pub fn reached(&mut self, key: K, version: u64, began: Duration) {
        self.reached.entry(key).or_default().push((began, version));
    }

    /// What was read, in the order of recording.
    pub fn reads(&self) -> &[Read<K>] {
        &self.reads
    }

    /// Looks for broken promises.
    pub fn check(&self) -> Verdict<K> {
        let floors = Floors::of(&self.voids);
        let reached = Reached::of(&self.reached);
        let mut verdict = Verdict {
            reads: self.reads.len() as u64,
            proven: 0,
            voids: self.voids.len() as u64,
            tried: BTreeMap::new(),
            broken: BTreeMap::new(),
            violations: Vec::new(),
            largest_staleness: Duration::ZERO,
        };
        for read in &self.reads {
            self.check_read(read, &floors, &reached, &mut verdict);
        }
        verdict
    }

    fn check_read(
        &self,
        read: &Read<K>,
        floors: &Floors<'_, K>,
        reached: &Reached<'_, K>,
        verdict: &mut Verdict<K>,
    ) {
        let Some(version) = read.version else {
            return;
        };
        let own = floors.own.get(&(read.process, &read.key));
        let all = floors.ok.get(&read.key);
        let settled = highest_before(all, read.began.saturating_sub(self.max_staleness));
        let mut demands = vec![(Promise::OwnWrites, highest_before(own, read.began))];
        if read.by == Source::Store && read.alone {
            let deletion = highest_before(floors.deleted.get(&read.key), read.began);
            let highest = deletion.into_iter().chain(settled);
            demands.push((Promise::FencedFills, highest.max_by_key(|void| void.floor)));
        }
        if read.proven {
            verdict.proven += 1;
            demands.push((Promise::BoundedStaleness, settled));
            let missed = all.and_then(|voids| voids.first_above(version));
            let staleness = missed.map(|ended| read.began.saturating_sub(ended));
            verdict.largest_staleness =
                verdict.largest_staleness.max(staleness.unwrap_or_default());
        }
        for (promise, void) in demands {
            let Some(void) = void else {
                continue;
            };
            *verdict.tried.entry(promise).or_default() += 1;
            if version < void.floor {
                verdict.breaks(promise, read, Some(void));
            }
        }
        if let Some(known) = reached.by(&read.key, read.ended) {
            *verdict.tried.entry(Promise::NoInvention).or_default() += 1;
            if version > known {
                verdict.breaks(Promise::NoInvention, read, None);
            }
        }
    }
}

impl<K: Clone> Verdict<K> {
    fn breaks(&mut self, promise: Promise, read: &Read<K>, void: Option<&Void<K>>) {
        *self.broken.entry(promise).or_default() += 1;
        if self.violations.len() < KEPT_VIOLATIONS {
            self.violations.push(Violation {
                promise,
                read: read.clone(),
                void: void.cloned(),
            });
        }
    }
}

/// The voids of one key, in two orders.
struct Voids<'a, K> {
    /// By return; each with the highest floor up to it.
    by_end: Vec<(Duration, &'a Void<K>)>,
    /// By floor; each with the earliest return from it upwards.
    by_floor: Vec<(u64, Duration)>,
}

impl<'a, K> Voids<'a, K> {
    fn of(mut voids: Vec<&'a Void<K>>) -> Self {
        voids.sort_by_key(|void| void.ended);
        let mut by_end: Vec<(Duration, &Void<K>)> = Vec::with_capacity(voids.len());
        for void in &voids {
            let highest = match by_end.last() {
                Some((_, before)) if before.floor >= void.floor => before,
                _ => void,
            };
            by_end.push((void.ended, highest));
        }
        voids.sort_by_key(|void| void.floor);
        let mut earliest = Duration::MAX;
        let mut by_floor: Vec<(u64, Duration)> = Vec::with_capacity(voids.len());
        for void in voids.iter().rev() {
            earliest = earliest.min(void.ended);
            by_floor.push((void.floor, earliest));
        }
        by_floor.reverse();
        Self { by_end, by_floor }
    }

    /// The void with the highest floor of those that returned before `until`.
    fn highest_before(&self, until: Duration) -> Option<&'a Void<K>> {
        let count = self.by_end.partition_point(|(ended, _)| *ended < until);
        let (_, highest) = self.by_end.get(count.checked_sub(1)?)?;
        Some(highest)
    }

    /// When the first void with a floor above `version` returned.
    fn first_above(&self, version: u64) -> Option<Duration> {
        let at = self
            .by_floor
            .partition_point(|(floor, _)| *floor <= version);
        self.by_floor.get(at).map(|(_, earliest)| *earliest)
    }
}

struct Floors<'a, K> {
    /// Of one process, well or not.
    own: HashMap<(u32, &'a K), Voids<'a, K>>,
    /// Of all processes, those that returned Ok.
    ok: HashMap<&'a K, Voids<'a, K>>,
    /// Of these, those that deleted.
    deleted: HashMap<&'a K, Voids<'a, K>>,
}

fn highest_before<'a, K>(voids: Option<&Voids<'a, K>>, until: Duration) -> Option<&'a Void<K>> {
    voids.and_then(|voids| voids.highest_before(until))
}

impl<'a, K: Eq + Hash> Floors<'a, K> {
    fn of(voids: &'a [Void<K>]) -> Self {
        let mut own: HashMap<_, Vec<_>> = HashMap::new();
        let mut ok: HashMap<_, Vec<_>> = HashMap::new();
        let mut deleted: HashMap<_, Vec<_>> = HashMap::new();
        for void in voids {
            if let Some(process) = void.process {
                own.entry((process, &void.key)).or_default().push(void);
            }
            if void.ok {
                ok.entry(&void.key).or_default().push(void);
                if void.deletes {
                    deleted.entry(&void.key).or_default().push(void);
                }
            }
        }
        Self {
            own: sorted(own),
            ok: sorted(ok),
            deleted: sorted(deleted),
        }
    }
}

fn sorted<'a, I: Eq + Hash, K>(voids: HashMap<I, Vec<&'a Void<K>>>) -> HashMap<I, Voids<'a, K>> {
    let voids = voids.into_iter();
    voids.map(|(of, voids)| (of, Voids::of(voids))).collect()
}

/// Versions of the source by the time that it began to move to them.
struct Reached<'a, K>(HashMap<&'a K, Vec<(Duration, u64)>>);

impl<'a, K: Eq + Hash> Reached<'a, K> {
    fn of(reached: &'a HashMap<K, Vec<(Duration, u64)>>) -> Self {
        let sorted = reached.iter().map(|(key, steps)| {
            let mut steps = steps.clone();
            steps.sort_unstable();
            (key, steps)
        });
        Self(sorted.collect())
    }

    /// The highest version that the source can have had by `until`.
    fn by(&self, key: &K, until: Duration) -> Option<u64> {
        let steps = self.0.get(key)?;
        let count = steps.partition_point(|(began, _)| *began <= until);
        let highest = steps[..count].iter().rev().map(|(_, version)| *version);
        // Moves of one key overlap at most a little: the last few tell.
        Some(highest.take(64).max().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELTA: Duration = Duration::from_millis(1_000);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn read(process: u32, version: u64, by: Source, began: u64) -> Read<&'static str> {
        Read {
            process,
            key: "k",
            version: Some(version),
            by,
            proven: false,
            alone: true,
            began: at(began),
            ended: at(began + 1),
        }
    }

    fn void(process: u32, floor: u64, ended: u64) -> Void<&'static str> {
        Void {
            process: Some(process),
            key: "k",
            floor,
            deletes: true,
            ok: true,
            began: at(ended - 5),
            ended: at(ended),
        }
    }

    fn broken(voids: &[Void<&'static str>], one: Read<&'static str>) -> Vec<Promise> {
        let mut history = History::new(DELTA);
        for void in voids {
            history.void(void.clone());
        }
        history.read(one);
        let verdict = history.check();
        assert_eq!(verdict.holds(), verdict.violations.is_empty());
        verdict.broken.into_keys().collect()
    }

    #[test]
    fn a_read_below_an_own_removal_is_caught_and_one_that_overlaps_it_is_not() {
        let removal = [void(1, 7, 100)];
        let local = |version, began| read(1, version, Source::Local, began);
        assert_eq!(broken(&removal, local(6, 101)), [Promise::OwnWrites]);
        assert_eq!(broken(&removal, local(6, 100)), []);
        assert_eq!(broken(&removal, local(7, 101)), []);
        let other = read(2, 6, Source::Local, 101);
        assert_eq!(broken(&removal, other), []);
    }

    #[test]
    fn a_removal_that_failed_binds_its_own_process_alone() {
        let failed = [Void {
            ok: false,
            ..void(1, 7, 100)
        }];
        let own = read(1, 6, Source::Loader, 200);
        assert_eq!(broken(&failed, own), [Promise::OwnWrites]);
        let other = read(2, 6, Source::Store, 9_000);
        assert_eq!(broken(&failed, other), []);
    }

    #[test]
    fn an_older_value_in_the_store_is_caught_in_any_process() {
        let removal = [void(1, 7, 100)];
        let stored = read(2, 6, Source::Store, 101);
        assert_eq!(broken(&removal, stored.clone()), [Promise::FencedFills]);
        // Somebody else's call may have asked the store before the removal.
        let joined = Read {
            alone: false,
            ..stored
        };
        assert_eq!(broken(&removal, joined), []);
    }

    #[test]
    fn what_a_group_removal_leaves_in_the_store_is_caught_after_delta() {
        let removal = [Void {
            deletes: false,
            ..void(1, 7, 100)
        }];
        let stored = |began| read(2, 6, Source::Store, began);
        assert_eq!(broken(&removal, stored(1_100)), []);
        assert_eq!(broken(&removal, stored(1_101)), [Promise::FencedFills]);
        let own = read(1, 6, Source::Store, 101);
        assert_eq!(broken(&removal, own), [Promise::OwnWrites]);
    }

    #[test]
    fn a_group_removal_does_not_excuse_what_a_removal_deleted() {
        let group = Void {
            deletes: false,
            ..void(1, 8, 200)
        };
        let voids = [void(1, 7, 100), group];
        assert_eq!(broken(&voids, read(2, 7, Source::Store, 300)), []);
        let older = read(2, 6, Source::Store, 300);
        assert_eq!(broken(&voids, older), [Promise::FencedFills]);
    }

    #[test]
    fn a_proven_read_older_than_delta_is_caught_and_a_younger_one_measured() {
        let removal = [void(1, 7, 100)];
        let proven = |began| Read {
            proven: true,
            ..read(2, 6, Source::Local, began)
        };
        assert_eq!(broken(&removal, proven(1_101)), [Promise::BoundedStaleness]);
        assert_eq!(broken(&removal, proven(1_100)), []);
        let unproven = read(2, 6, Source::Local, 60_000);
        assert_eq!(broken(&removal, unproven), []);
        let mut history = History::new(DELTA);
        history.void(void(1, 7, 100));
        history.void(void(1, 8, 300));
        history.read(proven(450));
        history.read(Read {
            version: Some(7),
            ..proven(900)
        });
        assert_eq!(history.check().largest_staleness, at(600));
    }

    #[test]
    fn the_highest_floor_counts_not_the_latest_removal() {
        let removals = [void(1, 9, 100), void(1, 7, 200)];
        let own = read(1, 8, Source::Local, 300);
        assert_eq!(broken(&removals, own), [Promise::OwnWrites]);
    }

    #[test]
    fn a_version_from_nowhere_is_caught() {
        let mut history = History::new(DELTA);
        history.reached("k", 5, at(100));
        history.reached("k", 6, at(500));
        history.read(read(1, 6, Source::Loader, 450));
        let verdict = history.check();
        assert_eq!(verdict.broken.get(&Promise::NoInvention), Some(&1));
    }

    #[test]
    fn nothing_there_breaks_nothing() {
        let absent = Read {
            version: None,
            ..read(1, 0, Source::Store, 900)
        };
        assert_eq!(broken(&[void(1, 7, 100)], absent), []);
    }

    /// The positive control at length: a sound history of three processes, and
    /// the same with one answer replaced.
    #[test]
    fn one_wrong_answer_among_thousands_is_found() {
        let mut sound = History::new(DELTA);
        for step in 1..3_000_u64 {
            let process = u32::try_from(step % 3).expect("below three");
            sound.void(void(process, step, 10 * step));
            let mut answer = read(process, step, Source::Store, 10 * step + 2);
            answer.proven = true;
            sound.read(answer);
        }
        assert!(sound.check().holds());
        for (at, older, by) in [
            (1_500, 1, Source::Local),
            (1_501, 1, Source::Store),
            (2_900, 200, Source::Local),
        ] {
            let mut doctored = sound.clone();
            let read = &mut doctored.reads[at];
            read.version = read.version.map(|version| version - older);
            read.by = by;
            let verdict = doctored.check();
            assert!(!verdict.holds(), "{at}");
            assert!(
                verdict
                    .violations
                    .iter()
                    .all(|one| one.read.began == read_began(&doctored, at))
            );
        }
    }

    fn read_began(history: &History<&'static str>, at: usize) -> Duration {
        history.reads[at].began
    }
}

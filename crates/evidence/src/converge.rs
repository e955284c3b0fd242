//! Convergence: one process writes a key several times in a row while others read
//! it without a pause; then all rest, and what each reader sees must be what was
//! written last. Nobody writes again, so a reader that is stale stays stale.
//!
//! The same race is run against the redis crate's own client-side cache. It inserts
//! a reply after the push that voids it was applied; a harness that does not find
//! that would find nothing.

use std::{path::Path, time::Duration};

use futures_util::future::join_all;
use terrace::BoxError;

use crate::{
    clock,
    field::{Log, Origin, Process},
    redis_server::RedisServer,
    table::{Table, millis},
    worker::{
        WorkerSettings,
        subject::Kind,
        wire::{Action, Answer, Key},
    },
};

/// Writes of a round.
const WRITES: u64 = 8;

/// How long a reader may take to see the last write: pushes take a tenth of a
/// millisecond, and Δ is twice this.
const SETTLE: Duration = Duration::from_millis(500);

/// Versions of a round start here: above what sources start with.
const FIRST: u64 = 100;

/// Who races, how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Race {
    /// Whose cache.
    pub(crate) kind: Kind,
    /// Reader processes.
    pub(crate) readers: usize,
    /// Between two writes.
    pub(crate) pause: Duration,
    /// How often.
    pub(crate) rounds: u32,
}

/// All settings for terrace and the positive control.
///
/// # Errors
///
/// If processes or Redis do not do what they are told.
pub async fn run(program: &Path, rounds: u32) -> Result<Table, BoxError> {
    let began = clock::now();
    let mut table = Table::new(format!("convergence: stale ends of {rounds} rounds each"));
    for kind in [Kind::TerraceSet, Kind::TerraceRemove] {
        for readers in [1, 3, 6] {
            for micros in [0, 500, 5_000] {
                let pause = Duration::from_micros(micros);
                let race = Race {
                    kind,
                    readers,
                    pause,
                    rounds,
                };
                let stale = race.run(program).await?;
                table.exactly(race.title(), stale.into(), 0);
            }
        }
    }
    table.extend(control(program, rounds).await?);
    table.note("all of it took", millis(clock::now().saturating_sub(began)));
    Ok(table)
}

/// The positive control alone: stale ends must be found.
///
/// # Errors
///
/// As [`run`].
pub async fn control(program: &Path, rounds: u32) -> Result<Table, BoxError> {
    let race = Race {
        kind: Kind::RedisCrate,
        readers: 3,
        pause: Duration::ZERO,
        rounds,
    };
    let stale = race.run(program).await?;
    let mut table = Table::new("positive control");
    table.at_least(
        format!("positive control: {}", race.title()),
        stale.into(),
        1,
    );
    Ok(table)
}

impl Race {
    fn title(&self) -> String {
        let who = match self.kind {
            Kind::TerraceSet => "terrace, set",
            Kind::TerraceRemove => "terrace, remove and load",
            Kind::RedisCrate => "the redis crate's own cache",
        };
        format!("{who}, {} readers, pause {:?}", self.readers, self.pause)
    }

    /// Rounds that run side by side, on keys of their own: pauses cost no time then.
    fn lanes(&self) -> u32 {
        match self.pause.as_micros() {
            0 => 5,
            1..1_000 => 10,
            _ => 20,
        }
    }

    /// After how many rounds some reader was stale.
    async fn run(&self, program: &Path) -> Result<u32, BoxError> {
        let (redis, origin) = (RedisServer::start(), Origin::open()?);
        let log = Log::new(Duration::from_secs(1));
        let mut racers = Vec::new();
        for number in 0..=u32::try_from(self.readers)? {
            let settings = WorkerSettings {
                redis: redis.url(),
                source: origin.path().to_owned(),
                max_staleness_millis: 1_000,
                store_timeout_millis: 2_000,
                load_timeout_millis: 10_000,
                ttl_millis: 3_600_000,
                subject: Some(self.kind),
            };
            racers.push(Process::start(program, &settings, number, &log)?);
        }
        let writer = racers.remove(0);
        let (mut stale, mut next) = (0, 0);
        while next < self.rounds {
            let keys: Vec<Key> = (next..self.rounds.min(next + self.lanes())).collect();
            next += self.lanes();
            stale += self.round(&keys, &writer, &racers).await?;
        }
        Ok(stale)
    }

    async fn round(
        &self,
        keys: &[Key],
        writer: &Process,
        readers: &[Process],
    ) -> Result<u32, BoxError> {
        for reader in readers {
            reader.must(Action::Spin(keys.to_vec())).await?;
        }
        let writes = keys.iter().map(|key| {
            writer.must(Action::Write {
                key: *key,
                from: FIRST,
                count: WRITES,
                pause_micros: u64::try_from(self.pause.as_micros()).unwrap_or(u64::MAX),
            })
        });
        let mut expected = Vec::new();
        for answer in join_all(writes).await {
            let Answer::Last(Some(version)) = answer? else {
                return Err("a writer that does not say what it wrote".into());
            };
            expected.push(version);
        }
        for answer in join_all(readers.iter().map(|reader| reader.must(Action::Rest))).await {
            answer?;
        }
        // All at once: what is stale costs the whole time to settle.
        let ends = keys.iter().zip(expected).map(|(key, version)| async move {
            let sees = readers.iter().map(|reader| sees(reader, *key, version));
            let sees: Result<Vec<bool>, BoxError> = join_all(sees).await.into_iter().collect();
            Ok::<_, BoxError>(sees?.contains(&false))
        });
        let mut stale = 0;
        for end in join_all(ends).await {
            stale += u32::from(end?);
        }
        Ok(stale)
    }
}

/// Whether a reader comes to see the version before all has settled.
async fn sees(reader: &Process, key: Key, version: u64) -> Result<bool, BoxError> {
    let began = clock::now();
    loop {
        let answer = reader.must(Action::Last(key)).await?;
        if matches!(answer, Answer::Last(Some(seen)) if seen == version) {
            return Ok(true);
        }
        if clock::now().saturating_sub(began) > SETTLE {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

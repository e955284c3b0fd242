//! Does to a field what networks, operators and kernels do. Every choice comes from
//! one seed.
//!
//! Absent on purpose: bytes that are changed on the way. A flipped byte in the name
//! of a pushed key is a lost message that nobody can notice, and TCP's checksum is
//! there for that; what a garbled reply does is a test of its own. Nor is Redis told
//! to write a snapshot: a restart would load it, which is outside of the contract
//! (and found by the checker).

use std::{collections::BTreeMap, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use terrace::BoxError;

use crate::{
    clock,
    field::Field,
    proxy::{Door, Ending, Flow, Lane},
    worker::wire::{Call, Key, VoidEvent, name_of},
};

/// Faults last this long, most of them nearer to the lower end.
const SHORTEST: Duration = Duration::from_millis(30);
const LONGEST: Duration = Duration::from_millis(2_500);

/// Between two faults.
const LONGEST_PEACE: Duration = Duration::from_millis(900);

/// One thing that goes wrong; the number is a worker's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Cut(usize),
    Reset(usize),
    /// What the worker sends waits, and arrives later.
    HoldUp(usize),
    /// The same, and the connection ends meanwhile: late bytes of a dead link.
    LateBytes(usize),
    /// What Redis sends waits, pushes included.
    HoldDown(usize),
    Delay(usize),
    /// Nothing arrives, the connection stays.
    HalfOpen(usize),
    /// As before for the connection of now; a new one would work.
    SilentOld(usize),
    DropPushes(usize),
    Refuse(usize),
    SilentDoor(usize),
    Slice(usize),
    KillWorker(usize),
    FreezeWorker(usize),
    KillRedis,
    FreezeRedis,
    Flush,
    KillClients,
    RemoveBehind,
    JunkBehind,
    OutOfMemory,
    /// Whatever it holds, leases and epochs among it.
    Evict,
    ForgetScripts,
    ReadOnly,
}

/// Which faults there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Menu {
    /// Bad network, kills of workers and of Redis.
    Network,
    /// Everything.
    All,
}

#[derive(Debug)]
pub(crate) struct Nemesis {
    random: StdRng,
    menu: Menu,
    /// Not killed, so that its memory can be watched.
    spared: Option<usize>,
    struck: BTreeMap<&'static str, u32>,
    trace: Vec<(Duration, String)>,
    /// Connections that were left in their state.
    left: Vec<(Fault, Lane)>,
}

impl Nemesis {
    pub(crate) fn new(seed: u64, menu: Menu, spared: Option<usize>) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            menu,
            spared,
            struck: BTreeMap::new(),
            trace: Vec::new(),
            left: Vec::new(),
        }
    }

    /// How often each fault was there.
    pub(crate) fn struck(&self) -> &BTreeMap<&'static str, u32> {
        &self.struck
    }

    /// When what went wrong.
    pub(crate) fn trace(&self) -> &[(Duration, String)] {
        &self.trace
    }

    /// One fault, or two at once; then peace.
    pub(crate) async fn strike(&mut self, field: &mut Field) -> Result<(), BoxError> {
        let mut faults = vec![self.choose(field.places.len())];
        if self.random.random_range(0..4) == 0 {
            let second = self.choose(field.places.len());
            if second.subject() != faults[0].subject() {
                faults.push(second);
            }
        }
        let lasts = self.lasts();
        for fault in &faults {
            *self.struck.entry(fault.name()).or_default() += 1;
            self.trace
                .push((clock::now(), format!("{fault:?} for {lasts:?}")));
            self.begin(*fault, field).await?;
        }
        tokio::time::sleep(lasts).await;
        for fault in faults {
            self.end(fault, field).await?;
        }
        let peace = self.random.random_range(Duration::ZERO..LONGEST_PEACE);
        tokio::time::sleep(peace).await;
        Ok(())
    }

    fn lasts(&mut self) -> Duration {
        let (least, most) = (SHORTEST.as_secs_f64().ln(), LONGEST.as_secs_f64().ln());
        Duration::from_secs_f64(self.random.random_range(least..most).exp())
    }

    fn choose(&mut self, places: usize) -> Fault {
        let place = self.random.random_range(0..places);
        let mut menu = vec![
            Fault::Cut(place),
            Fault::Reset(place),
            Fault::HoldUp(place),
            Fault::LateBytes(place),
            Fault::HoldDown(place),
            Fault::Delay(place),
            Fault::HalfOpen(place),
            Fault::SilentOld(place),
            Fault::DropPushes(place),
            Fault::Refuse(place),
            Fault::SilentDoor(place),
            Fault::Slice(place),
            Fault::KillRedis,
        ];
        if self.spared != Some(place) {
            menu.push(Fault::KillWorker(place));
        }
        if self.menu == Menu::All {
            menu.extend([
                Fault::FreezeWorker(place),
                Fault::FreezeRedis,
                Fault::Flush,
                Fault::KillClients,
                Fault::RemoveBehind,
                Fault::JunkBehind,
                Fault::OutOfMemory,
                Fault::Evict,
                Fault::ForgetScripts,
                Fault::ReadOnly,
            ]);
        }
        // The menu is never empty.
        menu.choose(&mut self.random)
            .copied()
            .unwrap_or(Fault::KillRedis)
    }

    async fn begin(&mut self, fault: Fault, field: &mut Field) -> Result<(), BoxError> {
        if self.begin_in_the_network(fault, field) {
            return Ok(());
        }
        let stranger = field.stranger().await;
        match fault {
            Fault::KillWorker(place) => field.kill_worker(place).await,
            Fault::FreezeWorker(place) => field.worker(place)?.freeze(),
            Fault::KillRedis => {
                let everything = Everything::now(field);
                field.redis.kill();
                everything.report_void(field);
            }
            Fault::FreezeRedis => field.redis.freeze(),
            Fault::Flush => {
                let everything = Everything::now(field);
                stranger?.ask::<()>("FLUSHALL").await?;
                everything.report_void(field);
            }
            Fault::KillClients => {
                stranger?
                    .ask::<u64>("CLIENT KILL TYPE normal SKIPME yes")
                    .await?;
            }
            Fault::RemoveBehind => {
                let key = self.random.random_range(0..field.keys());
                let floors = vec![(key, field.origin.version(key))];
                let began = clock::now();
                let (value, lease) = (stored_name("v", key), stored_name("l", key));
                stranger?.say::<u64>(&["DEL", &value, &lease]).await?;
                report(field, floors, began);
            }
            Fault::JunkBehind => {
                let key = stored_name("v", self.random.random_range(0..field.keys()));
                let words = ["SET", &key, "junk", "PX", "60000"];
                stranger?.say::<()>(&words).await?;
            }
            Fault::OutOfMemory => stranger?.ask::<()>("CONFIG SET maxmemory 1").await?,
            Fault::Evict => {
                let evict = "CONFIG SET maxmemory-policy allkeys-random maxmemory 1";
                stranger?.ask::<()>(evict).await?;
            }
            Fault::ForgetScripts => stranger?.ask::<()>("SCRIPT FLUSH").await?,
            Fault::ReadOnly => stranger?.ask::<()>("REPLICAOF 127.0.0.1 1").await?,
            _ => {}
        }
        Ok(())
    }

    /// Whether it was a fault of the network.
    fn begin_in_the_network(&mut self, fault: Fault, field: &Field) -> bool {
        let Some(place) = fault.place() else {
            return false;
        };
        let proxy = field.proxy(place);
        match fault {
            Fault::Cut(_) => proxy.cut(Ending::Fin),
            Fault::Reset(_) => proxy.cut(Ending::Reset),
            Fault::HoldUp(_) => proxy.to_server(Flow::Hold),
            Fault::HoldDown(_) => proxy.to_client(Flow::Hold),
            Fault::LateBytes(_) => {
                proxy.to_server(Flow::Hold);
                self.left.push((fault, proxy.leave_behind()));
            }
            Fault::SilentOld(_) => {
                proxy.to_server(Flow::Swallow);
                proxy.to_client(Flow::Swallow);
                self.left.push((fault, proxy.leave_behind()));
            }
            Fault::HalfOpen(_) => {
                proxy.to_server(Flow::Swallow);
                proxy.to_client(Flow::Swallow);
            }
            Fault::Delay(_) => {
                let by = self.random.random_range(1..80);
                proxy.to_server(Flow::Delay(Duration::from_millis(by)));
                proxy.to_client(Flow::Delay(Duration::from_millis(by)));
            }
            Fault::DropPushes(_) => proxy.to_client(Flow::DropPushes),
            Fault::Slice(_) => proxy.to_client(Flow::Slice {
                size: 7,
                pause: Duration::from_millis(1),
            }),
            Fault::Refuse(_) => {
                proxy.door(Door::Refuse);
                proxy.cut(Ending::Reset);
            }
            Fault::SilentDoor(_) => {
                proxy.door(Door::Silent);
                proxy.cut(Ending::Fin);
            }
            _ => return false,
        }
        true
    }

    async fn end(&mut self, fault: Fault, field: &mut Field) -> Result<(), BoxError> {
        self.left.retain(|(left, lane)| {
            if *left != fault {
                return true;
            }
            if let Fault::LateBytes(_) = fault {
                lane.cut_clients();
                lane.to_server(Flow::Pass);
            } else {
                lane.cut(Ending::Fin);
            }
            false
        });
        match fault {
            Fault::KillWorker(place) => {
                field.start_worker(place)?;
                field.resume(place).await?;
            }
            Fault::FreezeWorker(place) => field.worker(place)?.thaw(),
            Fault::KillRedis => field.redis.launch(),
            Fault::FreezeRedis => field.redis.thaw(),
            Fault::OutOfMemory | Fault::Evict => {
                let relent = "CONFIG SET maxmemory 0 maxmemory-policy noeviction";
                field.stranger().await?.ask::<()>(relent).await?;
            }
            Fault::ReadOnly => {
                field
                    .stranger()
                    .await?
                    .ask::<()>("REPLICAOF NO ONE")
                    .await?;
            }
            _ => {
                if let Some(place) = fault.place() {
                    field.proxy(place).heal();
                }
            }
        }
        Ok(())
    }
}

impl Fault {
    /// Two faults at once have different subjects.
    fn subject(self) -> Option<usize> {
        match self {
            Self::KillWorker(place) | Self::FreezeWorker(place) => Some(place),
            _ => self.place(),
        }
    }

    /// Whose network it is.
    fn place(self) -> Option<usize> {
        match self {
            Self::Cut(place)
            | Self::Reset(place)
            | Self::HoldUp(place)
            | Self::LateBytes(place)
            | Self::HoldDown(place)
            | Self::Delay(place)
            | Self::HalfOpen(place)
            | Self::SilentOld(place)
            | Self::DropPushes(place)
            | Self::Refuse(place)
            | Self::SilentDoor(place)
            | Self::Slice(place) => Some(place),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cut(_) => "connection cut",
            Self::Reset(_) => "connection reset",
            Self::HoldUp(_) => "requests held",
            Self::LateBytes(_) => "late bytes of a dead link",
            Self::HoldDown(_) => "replies held",
            Self::Delay(_) => "delay",
            Self::HalfOpen(_) => "half open",
            Self::SilentOld(_) => "old connection silent",
            Self::DropPushes(_) => "pushes dropped",
            Self::Refuse(_) => "connections refused",
            Self::SilentDoor(_) => "connections unanswered",
            Self::Slice(_) => "replies in slices",
            Self::KillWorker(_) => "worker killed",
            Self::FreezeWorker(_) => "worker stopped",
            Self::KillRedis => "redis killed",
            Self::FreezeRedis => "redis stopped",
            Self::Flush => "FLUSHALL",
            Self::KillClients => "CLIENT KILL",
            Self::RemoveBehind => "DEL by a stranger",
            Self::JunkBehind => "junk by a stranger",
            Self::OutOfMemory => "out of memory",
            Self::Evict => "evictions",
            Self::ForgetScripts => "SCRIPT FLUSH",
            Self::ReadOnly => "read only",
        }
    }
}

/// What the source had for all keys before Redis lost everything: its values and
/// the leases of loads under way.
struct Everything {
    floors: Vec<(Key, u64)>,
    began: Duration,
}

impl Everything {
    fn now(field: &Field) -> Self {
        let keys = 0..field.keys();
        Self {
            floors: keys.map(|key| (key, field.origin.version(key))).collect(),
            began: clock::now(),
        }
    }

    fn report_void(self, field: &Field) {
        report(field, self.floors, self.began);
    }
}

fn report(field: &Field, floors: Vec<(Key, u64)>, began: Duration) {
    let void = VoidEvent {
        floors,
        ok: true,
        began,
        ended: clock::now(),
        call: Call::Outside,
    };
    field.log.void(None, &void);
}

/// As terrace names it in Redis.
pub(crate) fn stored_name(family: &str, key: Key) -> String {
    format!("terrace:{family}:{{field:{}}}", name_of(key))
}

//! Redis as the protocol sees it: four keys, who watches them, and the scripts.
//!
//! Client tracking, default mode, NOLOOP. A read registers the reader, of a missing
//! key too. A write tells every *other* registered client and strikes all of them
//! from the list, the writer included; so a script ends with a read of what it
//! wrote. Removing what is not there is no write.

use super::{
    mutant::{Mutant, Rules},
    state::{Command, Epoch, MAX_PROCESSES, NONE, Signal, State, Token, Verb},
};

/// A key that can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Value,
    Lease,
    Tag,
    Clock,
}

impl Key {
    pub(crate) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Answers that are not a token and not an epoch.
pub(crate) const HELD: u8 = 0xFE;
pub(crate) const YOURS: u8 = 0xFF;
pub(crate) const STORED: u8 = 1;
pub(crate) const REFUSED: u8 = 0;

/// The server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Redis {
    /// The token of the value that is there.
    pub(crate) value: Token,
    pub(crate) lease: Token,
    pub(crate) tag: Epoch,
    pub(crate) clock: Epoch,
    pub(crate) last_epoch: Epoch,
    /// A bit per process, for each key.
    watchers: [u8; 4],
}

/// What one command made others hear: a bit per key, for each process.
type Heard = [u8; MAX_PROCESSES];

impl Redis {
    /// A client reads a key, and watches it from now on. Late bytes come from a
    /// connection that nobody hears.
    pub(crate) fn watch(&mut self, key: Key, client: Option<usize>) {
        if let Some(client) = client {
            self.watchers[key as usize] |= 1 << client;
        }
    }

    fn wrote(&mut self, key: Key, client: Option<usize>, rules: Rules, heard: &mut Heard) {
        let watchers = std::mem::take(&mut self.watchers[key as usize]);
        for (process, heard) in heard.iter_mut().enumerate() {
            let is_writer = client.is_some_and(|client| {
                client == process || rules.breaks(Mutant::TwoCachesOnOneLink)
            });
            if watchers & (1 << process) != 0 && !is_writer {
                *heard |= key.bit();
            }
        }
    }

    pub(crate) fn is_watched_by(&self, client: usize) -> bool {
        self.watchers
            .iter()
            .any(|watchers| watchers & (1 << client) != 0)
    }

    pub(crate) fn forget_watcher(&mut self, client: usize) {
        for watchers in &mut self.watchers {
            *watchers &= !(1 << client);
        }
    }

    /// FLUSHALL: the lists go too, everybody gets a null push instead.
    pub(crate) fn flush(&mut self) {
        *self = Self {
            last_epoch: self.last_epoch,
            ..Self::default()
        };
    }

    fn new_epoch(&mut self) -> Epoch {
        self.last_epoch += 1;
        self.last_epoch
    }

    fn epoch(&mut self, key: Key) -> &mut Epoch {
        match key {
            Key::Clock => &mut self.clock,
            _ => &mut self.tag,
        }
    }
}

/// One command, or one key that Redis gives up by itself, with those who hear of it.
struct Execution<'a> {
    redis: &'a mut Redis,
    client: Option<usize>,
    rules: Rules,
    heard: Heard,
}

impl Execution<'_> {
    fn read(&mut self, key: Key) {
        self.redis.watch(key, self.client);
    }

    /// The read at the end of a script, without which its client hears nothing more.
    fn read_back(&mut self, key: Key, without: Mutant) {
        if !self.rules.breaks(without) {
            self.read(key);
        }
    }

    fn wrote(&mut self, key: Key) {
        self.redis
            .wrote(key, self.client, self.rules, &mut self.heard);
    }

    fn set_value(&mut self, token: Token) {
        self.redis.value = token;
        self.wrote(Key::Value);
    }

    fn set_lease(&mut self, token: Token) {
        self.redis.lease = token;
        self.wrote(Key::Lease);
    }

    fn drop_value(&mut self) {
        if self.redis.value != NONE {
            self.set_value(NONE);
        }
    }

    fn drop_lease(&mut self) {
        if self.redis.lease != NONE {
            self.set_lease(NONE);
        }
    }

    fn run(&mut self, command: Command) -> u8 {
        let (token, other) = (command.token, command.other);
        match command.verb {
            Verb::Get => {
                self.read(Key::Value);
                self.redis.value
            }
            Verb::Lease => self.lease(token, other),
            Verb::Force => {
                self.read(Key::Value);
                self.set_lease(token);
                self.redis.value
            }
            Verb::Fill => self.fill(token, other),
            Verb::Release => {
                self.read(Key::Lease);
                if self.redis.lease == token || self.rules.breaks(Mutant::ReleaseTakesAnyLease) {
                    self.drop_lease();
                }
                STORED
            }
            Verb::Remove => {
                self.drop_value();
                if !self.rules.breaks(Mutant::RemoveLeavesLease) {
                    self.drop_lease();
                }
                STORED
            }
            Verb::RemoveValue => {
                self.drop_value();
                STORED
            }
            Verb::RemoveLease => {
                self.drop_lease();
                STORED
            }
            Verb::ReadTag => self.read_epoch(Key::Tag),
            Verb::ReadClock => self.read_epoch(Key::Clock),
            Verb::BumpTag => self.bump(Key::Tag, token),
            Verb::BumpClock => self.bump(Key::Clock, NONE),
            Verb::SetAtOnce => {
                self.set_value(token);
                self.drop_lease();
                self.read(Key::Value);
                STORED
            }
        }
    }

    fn lease(&mut self, token: Token, refused: Token) -> u8 {
        self.read(Key::Value);
        let value = self.redis.value;
        let is_refused = value == refused && !self.rules.breaks(Mutant::NothingIsRefused);
        if value != NONE && !is_refused {
            return value;
        }
        self.read(Key::Lease);
        if self.redis.lease != NONE {
            return HELD;
        }
        self.set_lease(token);
        self.read_back(Key::Lease, Mutant::LeaseForgetsToWatch);
        YOURS
    }

    /// First the value, then the lease: out of memory must not cost the lease.
    fn fill(&mut self, token: Token, seen: Token) -> u8 {
        self.read(Key::Lease);
        if self.redis.lease == token || self.rules.breaks(Mutant::FillWithoutToken) {
            self.set_value(token);
            self.drop_lease();
            self.read_back(Key::Value, Mutant::FillForgetsToWatch);
            return STORED;
        }
        if seen != NONE {
            self.read(Key::Value);
            if self.redis.value == seen {
                self.drop_value();
            }
        }
        REFUSED
    }

    fn read_epoch(&mut self, key: Key) -> u8 {
        if *self.redis.epoch(key) == 0 {
            *self.redis.epoch(key) = self.redis.new_epoch();
            self.wrote(key);
            // `SET … NX GET` alone would not register.
            self.read_back(key, Mutant::EpochForgetsToWatch);
        } else {
            self.read(key);
        }
        *self.redis.epoch(key)
    }

    /// `again`: the token of an earlier attempt, which only a mutant sends.
    fn bump(&mut self, key: Key, again: Epoch) -> u8 {
        let epoch = if again == NONE {
            self.redis.new_epoch()
        } else {
            again
        };
        *self.redis.epoch(key) = epoch;
        self.wrote(key);
        self.read_back(key, Mutant::EpochForgetsToWatch);
        epoch
    }
}

impl State {
    /// Redis executes a command; the others hear of it before anybody gets an answer.
    pub(crate) fn execute(&mut self, command: Command, client: Option<usize>, rules: Rules) -> u8 {
        let mut execution = Execution {
            redis: &mut self.redis,
            client,
            rules,
            heard: Heard::default(),
        };
        let answer = execution.run(command);
        let heard = execution.heard;
        self.tell(heard);
        answer
    }

    /// Redis gives a key up: expired, evicted.
    pub(crate) fn lose(&mut self, key: Key, rules: Rules) {
        let mut heard = Heard::default();
        if !rules.breaks(Mutant::StoreLosesInSilence) {
            self.redis.wrote(key, None, rules, &mut heard);
        }
        match key {
            Key::Value => self.redis.value = NONE,
            Key::Lease => self.redis.lease = NONE,
            Key::Tag => self.redis.tag = 0,
            Key::Clock => self.redis.clock = 0,
        }
        self.tell(heard);
    }

    fn tell(&mut self, heard: Heard) {
        for (process, keys) in self.processes.iter_mut().zip(heard) {
            if keys != 0 && !process.is_cut {
                process.inbox.push(Signal::Push(keys));
            }
        }
    }
}

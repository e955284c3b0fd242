//! What Redis tells: who is told, and of what.
//!
//! Runs in the reader of the connection, in wire order: a change is passed on
//! before any later reply becomes visible.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::watch;

use super::keys::{self, Meaning};
use crate::store::{Changed, Gap, Listener};

/// The caches that listen, by namespace and name.
#[derive(Default)]
pub(super) struct News {
    ears: Mutex<HashMap<String, HashMap<String, Ear>>>,
}

struct Ear {
    listener: Weak<dyn Listener>,
    /// How often this cache's canary was heard.
    canary: watch::Sender<u64>,
    sung: Arc<Sung>,
    /// How many keys the server had evicted when this cache last looked.
    evicted: u64,
}

/// What was done so that a canary be heard.
#[derive(Debug, Default)]
pub(super) struct Sung {
    /// How often it sang, or may have.
    pub(super) times: AtomicU64,
    /// How often in a row it was not heard in time, or could not sing.
    pub(super) in_vain: AtomicU32,
}

/// So many in a row that are not heard, and the link counts as deaf.
const IN_VAIN_IN_A_ROW: u32 = 3;

impl Sung {
    /// Whether it was in vain too often.
    pub(super) fn is_deaf(&self) -> bool {
        self.in_vain.load(Relaxed) >= IN_VAIN_IN_A_ROW
    }
}

/// What a cache hears of its canary.
pub(super) struct CanaryEar {
    /// How often it was heard.
    pub(super) heard: watch::Receiver<u64>,
    pub(super) sung: Arc<Sung>,
}

/// Something came that cannot be understood: what else was missed is not known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled;

impl News {
    pub(super) fn listen(&self, place: (&str, &str), listener: Weak<dyn Listener>) -> bool {
        let mut ears = self.ears.lock();
        let of_namespace = ears.entry(place.0.to_owned()).or_default();
        let taken = of_namespace.get(place.1);
        if taken.is_some_and(|ear| ear.listener.strong_count() > 0) {
            return false;
        }
        let ear = Ear {
            listener,
            canary: watch::Sender::new(0),
            sung: Arc::default(),
            evicted: 0,
        };
        of_namespace.insert(place.1.to_owned(), ear);
        true
    }

    pub(super) fn hush(&self, (namespace, cache): (&str, &str), own: &Weak<dyn Listener>) {
        if let Some(ears) = self.ears.lock().get_mut(namespace) {
            ears.retain(|name, ear| name != cache || !Weak::ptr_eq(&ear.listener, own));
        }
    }

    pub(super) fn canary(&self, (namespace, cache): (&str, &str)) -> Option<CanaryEar> {
        let ears = self.ears.lock();
        let ear = ears.get(namespace)?.get(cache)?;
        Some(CanaryEar {
            heard: ear.canary.subscribe(),
            sung: Arc::clone(&ear.sung),
        })
    }

    /// Whether the server has evicted keys since this cache last looked.
    pub(super) fn has_moved(&self, (namespace, cache): (&str, &str), evicted: u64) -> bool {
        let mut ears = self.ears.lock();
        let ear = ears.get_mut(namespace).and_then(|ears| ears.get_mut(cache));
        ear.is_none_or(|ear| std::mem::replace(&mut ear.evicted, evicted) != evicted)
    }

    pub(super) fn gap(&self, gap: Gap) {
        // Out of the lock: who is told may be dropped here, and then hushes itself.
        let all: Vec<_> = {
            let ears = self.ears.lock();
            let ears = ears.values().flat_map(HashMap::values);
            ears.map(|ear| Weak::clone(&ear.listener)).collect()
        };
        for listener in all.iter().filter_map(Weak::upgrade) {
            listener.gap(gap);
        }
    }

    pub(super) fn tell(&self, push: &PushInfo) -> Result<(), Garbled> {
        match &push.kind {
            PushKind::Invalidate => {}
            PushKind::Other(kind) if kind == "tracking-redir-broken" => return Err(Garbled),
            _ => return Ok(()),
        }
        match push.data.as_slice() {
            [Value::Nil] => self.gap(Gap::Over),
            [Value::Array(keys)] => {
                for key in keys {
                    let Value::BulkString(key) = key else {
                        return Err(Garbled);
                    };
                    self.changed(key);
                }
            }
            _ => return Err(Garbled),
        }
        Ok(())
    }

    /// A key that is not ours has been read by nobody of ours, and is no news.
    fn changed(&self, key: &[u8]) {
        let Some((namespace, cache, meaning)) = keys::read(key) else {
            return;
        };
        let listener = {
            let ears = self.ears.lock();
            let ear = ears.get(namespace).and_then(|ears| ears.get(cache));
            let Some(ear) = ear else { return };
            if meaning == Meaning::Canary {
                ear.canary.send_modify(|heard| *heard += 1);
            }
            ear.listener.upgrade()
        };
        let Some(listener): Option<Arc<dyn Listener>> = listener else {
            return;
        };
        match meaning {
            Meaning::Slot(key) => listener.changed(Changed::Key(key)),
            Meaning::Mark(mark) => listener.changed(Changed::Mark(mark)),
            Meaning::Canary => {}
        }
    }
}

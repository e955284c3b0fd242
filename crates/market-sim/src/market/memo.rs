//! Candles that were cut lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::cut::Node;

/// Some six megabytes of parts: more candles than any one answer is made of.
const CAPACITY: usize = 512;

/// The parts of candles, by the identity of each.
type Parts = HashMap<(u64, usize), Arc<[Node]>>;

/// Candles that were cut lately, with their parts.
///
/// A thousand minutes are cut from seventeen hours, and neighbouring moments from the same minute:
/// without this, both would be cut anew for each.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<Parts>);

impl Memo {
    /// The parts of a candle; cut now, if they are not at hand.
    pub(super) fn parts(&self, whole: &Node) -> Arc<[Node]> {
        // A panic elsewhere cannot leave a wrong entry: each is made before it is put in.
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parts) = known().get(&whole.identity()) {
            return Arc::clone(parts);
        }
        let parts: Arc<[Node]> = whole.parts().into();
        let mut known = known();
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(whole.identity(), Arc::clone(&parts));
        parts
    }
}

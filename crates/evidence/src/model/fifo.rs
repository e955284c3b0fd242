//! The queues between the processes and Redis: first in, first out.

use std::hash::{Hash, Hasher};

/// A queue of a few places. Unused places are blank, so that equal queues are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fifo<T, const N: usize> {
    items: [T; N],
    length: u8,
}

impl<T: Copy + Default, const N: usize> Default for Fifo<T, N> {
    fn default() -> Self {
        Self {
            items: [T::default(); N],
            length: 0,
        }
    }
}

impl<T: Hash, const N: usize> Hash for Fifo<T, N> {
    /// Most queues are short, and hashing is most of the work of a search.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.items[..usize::from(self.length)].hash(hasher);
    }
}

impl<T: Copy + Default, const N: usize> Fifo<T, N> {
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn push(&mut self, item: T) {
        let end = usize::from(self.length);
        assert!(end < N, "a scenario needs longer queues than the model has");
        self.items[end] = item;
        self.length += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let first = self.items[0];
        self.items.copy_within(1.., 0);
        self.items[N - 1] = T::default();
        self.length -= 1;
        Some(first)
    }
}

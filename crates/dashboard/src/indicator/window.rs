//! What a sliding window adds up to, without ever taking anything away again.

/// What neighbours in a window add up to.
pub(super) trait Combine: Copy {
    fn combine(self, newer: Self) -> Self;
}

/// Numbers add up to their sum.
impl Combine for f64 {
    fn combine(self, newer: Self) -> Self {
        self + newer
    }
}

/// Where one has no value, the window has none.
impl<A: Combine> Combine for Option<A> {
    fn combine(self, newer: Self) -> Self {
        Some(self?.combine(newer?))
    }
}

/// The last so many of a series, and what they add up to.
///
/// The usual running sum subtracts what leaves the window, and keeps the rounding errors of every
/// bar since the beginning: after one at a million times the price, all later sums are off. Here
/// nothing is subtracted, so what left the window left no trace, and what has no inverse (a
/// maximum, a variance) slides just as well. The series is cut into blocks of the window's length;
/// each window is the end of one block and the beginning of the next (van Herk, 1992).
///
/// Two combinations a bar on average; as many as the window is long when a block ends.
#[derive(Clone, Debug)]
pub(super) struct Window<A> {
    length: usize,
    /// Before `at`, the running block, one by one. From `at` on, the block before it: each slot
    /// is what it and all slots after it add up to. Invariant: no longer than `length`.
    slots: Vec<A>,
    /// How much of the running block is there. Invariant: less than `length`.
    at: usize,
    /// What the running block adds up to; none while it is empty.
    block: Option<A>,
}

impl<A: Combine> Window<A> {
    pub(super) fn new(length: usize) -> Self {
        Self {
            length,
            slots: Vec::with_capacity(length),
            at: 0,
            block: None,
        }
    }

    /// Takes the next one; what the window adds up to, once it is full.
    pub(super) fn push(&mut self, next: A) -> Option<A> {
        let block = match self.block {
            Some(block) => block.combine(next),
            None => next,
        };
        // The slot after this one holds what the window still has of the block before. There is
        // none in the first block, whose slots are not there yet, nor at the end of any other.
        let whole = match self.slots.get(self.at + 1) {
            Some(rest) => rest.combine(block),
            None => block,
        };
        match self.slots.get_mut(self.at) {
            Some(slot) => *slot = next,
            None => self.slots.push(next),
        }
        self.at += 1;
        self.block = Some(block);
        if self.at == self.length {
            self.close_block();
        }
        (self.slots.len() == self.length).then_some(whole)
    }

    fn close_block(&mut self) {
        for slot in (1..self.length).rev() {
            self.slots[slot - 1] = self.slots[slot - 1].combine(self.slots[slot]);
        }
        self.at = 0;
        self.block = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_what_its_members_add_up_to_in_their_order() {
        #[derive(Clone, Copy, Debug, PartialEq)]
        struct Span(usize, usize);
        impl Combine for Span {
            fn combine(self, newer: Self) -> Self {
                assert_eq!(self.1 + 1, newer.0, "neighbours only, the older one first");
                Self(self.0, newer.1)
            }
        }
        for length in 1..=9 {
            let mut window = Window::new(length);
            for n in 0..50 {
                let expected = (n + 1 >= length).then(|| Span(n + 1 - length, n));
                assert_eq!(window.push(Span(n, n)), expected, "window of {length}");
            }
        }
    }

    #[test]
    fn what_has_left_the_window_has_left_no_trace() {
        let mut window = Window::new(3);
        let mut sums = [1e100, 1.0, 1.0, 1.0].map(|number| window.push(number));
        assert_eq!(sums[3], Some(3.0));
        let mut window = Window::new(2);
        sums = [None, Some(1.0), Some(2.0), None].map(|hole| window.push(hole).flatten());
        assert_eq!(sums, [None, None, Some(3.0), None]);
    }

    #[test]
    fn a_window_allocates_when_it_is_made_and_not_again() {
        let mut window = Window::new(7);
        let room = window.slots.capacity();
        for n in 0..100 {
            window.push(f64::from(n));
        }
        assert_eq!(window.slots.capacity(), room);
    }
}

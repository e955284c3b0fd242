//! How often one address may fail to show the admin token.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures an address has per window before it has to wait: enough for typing
/// errors, too few for guessing (faults.md 4.3).
pub(crate) const MAX_FAILURES: u32 = 5;

/// The window the failures are counted in.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// Addresses remembered at once. Beyond it the oldest windows go first, so that a
/// flood from many addresses costs memory for this many only.
const MAX_ADDRESSES: usize = 4096;

/// Failed admin attempts per address in a fixed window.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    failures: Mutex<HashMap<IpAddr, Window>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    opened: Instant,
    failures: u32,
}

impl Throttle {
    /// How long `address` has to wait at `now`, if it has to.
    pub(crate) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let window = failures.get(&address)?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(window.opened))?;
        (window.failures >= MAX_FAILURES && !left.is_zero()).then_some(left)
    }

    /// Notes a failure of `address` at `now`.
    pub(crate) fn failed(&self, address: IpAddr, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MAX_ADDRESSES && !failures.contains_key(&address) {
            failures.retain(|_, window| now.saturating_duration_since(window.opened) < WINDOW);
            if failures.len() >= MAX_ADDRESSES {
                let oldest = failures.iter().min_by_key(|(_, window)| window.opened);
                if let Some(address) = oldest.map(|(address, _)| *address) {
                    failures.remove(&address);
                }
            }
        }
        let window = failures.entry(address).or_insert(Window {
            opened: now,
            failures: 0,
        });
        if now.saturating_duration_since(window.opened) >= WINDOW {
            *window = Window {
                opened: now,
                failures: 0,
            };
        }
        window.failures = window.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn the_sixth_attempt_waits_until_the_window_ends() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for _ in 0..MAX_FAILURES {
            assert_eq!(throttle.wait(ADDRESS, start), None);
            throttle.failed(ADDRESS, start);
        }
        let later = start + Duration::from_secs(20);
        assert_eq!(throttle.wait(ADDRESS, later), Some(Duration::from_secs(40)));
        assert_eq!(throttle.wait(ADDRESS, start + WINDOW), None);
    }

    #[test]
    fn another_address_is_not_held_up() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..10 {
            throttle.failed(ADDRESS, now);
        }
        let other = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(throttle.wait(other, now), None);
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_the_table() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for n in 0..u32::try_from(MAX_ADDRESSES + 100).expect("fits") {
            throttle.failed(IpAddr::V4(std::net::Ipv4Addr::from(n)), now);
        }
        let held = throttle.failures.lock().expect("no panic held it").len();
        assert_eq!(held, MAX_ADDRESSES);
    }
}

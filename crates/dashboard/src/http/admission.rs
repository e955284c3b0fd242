//! Who may listen to live updates, and how many: in all and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;

use super::Site;
use super::origin;
use super::problem::Problem;

/// The open places.
#[derive(Debug)]
pub(crate) struct Admission {
    max_clients: usize,
    max_per_address: usize,
    seated: Mutex<Seated>,
}

#[derive(Debug, Default)]
struct Seated {
    // Invariant: `all` is the sum of `by_address`, and no count in it is zero.
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place taken; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Seat {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Every place is taken.
    House,
    /// This address has all the places one address may have.
    Address,
}

/// Takes a place for a client of live updates.
///
/// # Errors
/// For a page of another site, while the service stops, and when there is no place.
pub(crate) fn admit(site: &Site, headers: &HeaderMap, address: IpAddr) -> Result<Seat, Problem> {
    if !origin::is_allowed(headers, &site.config.allowed_origins) {
        return Err(Problem::foreign_origin());
    }
    if site.stop.is_cancelled() {
        return Err(Problem::unavailable("The service is stopping."));
    }
    site.admission.seat(address).map_err(|full| match full {
        Full::House => Problem::unavailable("Every place for live updates is taken."),
        Full::Address => Problem::too_many("This address has all its places for live updates.", 5),
    })
}

impl Admission {
    /// Places for `max_clients`, of which one address may have `max_per_address`.
    pub(crate) fn new(max_clients: usize, max_per_address: usize) -> Self {
        Self {
            max_clients,
            max_per_address,
            seated: Mutex::default(),
        }
    }

    /// Takes a place for `address`.
    ///
    /// # Errors
    /// [`Full`], which says whose limit was met.
    pub(crate) fn seat(self: &Arc<Self>, address: IpAddr) -> Result<Seat, Full> {
        let mut seated = self.seated.lock().unwrap_or_else(PoisonError::into_inner);
        if seated.all >= self.max_clients {
            return Err(Full::House);
        }
        let here = seated.by_address.get(&address).copied().unwrap_or(0);
        if here >= self.max_per_address {
            return Err(Full::Address);
        }
        seated.all += 1;
        seated.by_address.insert(address, here + 1);
        Ok(Seat {
            admission: Arc::clone(self),
            address,
        })
    }

    /// How many places are taken.
    pub(crate) fn open(&self) -> usize {
        self.seated
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .all
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seated = self
            .admission
            .seated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seated.all -= 1;
        if let Some(here) = seated.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                seated.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

    #[test]
    fn one_address_cannot_take_every_place() {
        let admission = Arc::new(Admission::new(3, 2));
        let _first = admission.seat(HERE).expect("empty house");
        let second = admission.seat(HERE).expect("one place left for it");
        assert_eq!(admission.seat(HERE).err(), Some(Full::Address));
        let _third = admission.seat(THERE).expect("its own limit");
        assert_eq!(admission.seat(THERE).err(), Some(Full::House));
        drop(second);
        assert_eq!(admission.open(), 2);
        assert!(admission.seat(HERE).is_ok());
    }
}

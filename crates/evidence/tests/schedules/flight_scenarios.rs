//! The table of flights, alone and with the gate.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use loom::{future::block_on, thread};

use super::{
    flight::{Boarding, Flight, Flights},
    gate::Ticket,
    gate_scenarios::{KEY, Tiers},
};
use crate::explore::{Shared as _, Witness, join};

scenarios![
    one_leads_and_the_others_get_its_outcome,
    a_flight_that_ends_takes_nobody_elses_place,
    a_flight_that_is_renewed_takes_nobody_elses_place,
    nobody_boards_a_flight_from_before_a_void,
];

type Table = Arc<Flights<u32, u32>>;

/// What several threads do with one generation. The count is std's: it is the
/// observer's, and no schedule may turn on it.
#[derive(Clone)]
struct Crew {
    table: Table,
    leading: Arc<AtomicUsize>,
    witness: Witness,
}

impl Crew {
    fn new(witness: &Witness) -> Self {
        Self {
            table: Table::default(),
            leading: Arc::default(),
            witness: witness.clone(),
        }
    }

    fn lead(&self, generation: u32) -> Flight<u32, u32> {
        match self.table.board(&Arc::from(KEY), generation) {
            Boarding::Lead(flight) => flight,
            _ => unreachable!("nobody else is there yet"),
        }
    }

    /// Boards; who leads works, lands the generation's number and ends.
    fn fly(&self, generation: u32) {
        match self.table.board(&Arc::from(KEY), generation) {
            Boarding::Lead(flight) => {
                let others = self.leading.fetch_add(1, Relaxed);
                self.witness.demand(others == 0, "two do the same work");
                thread::yield_now();
                self.leading.fetch_sub(1, Relaxed);
                flight.land(generation);
            }
            Boarding::Join(mut passenger) => {
                let outcome = block_on(passenger.outcome());
                let promise = "a passenger does not get the leader's outcome";
                self.witness.demand(outcome == Some(generation), promise);
            }
            Boarding::Outdated => self.witness.demand(false, "a newer flight from nowhere"),
        }
    }
}

fn one_leads_and_the_others_get_its_outcome(witness: &Witness) {
    let it = Crew::new(witness);
    let other = it.apart(|it| it.fly(1));
    it.fly(1);
    join([other]);
}

fn a_flight_that_ends_takes_nobody_elses_place(witness: &Witness) {
    let it = Crew::new(witness);
    let older = it.lead(1);
    let others = [it.apart(|it| it.fly(2)), it.apart(|it| it.fly(2))];
    drop(older);
    join(others);
}

fn a_flight_that_is_renewed_takes_nobody_elses_place(witness: &Witness) {
    let it = Crew::new(witness);
    let older = it.lead(1);
    let others = [it.apart(|it| it.fly(3)), it.apart(|it| it.fly(3))];
    older.renew(2);
    join(others);
    drop(older);
}

/// A leader closes its key to store what it loaded, and takes its flight along
/// into the new generation, unless somebody has voided the key meanwhile.
fn nobody_boards_a_flight_from_before_a_void(witness: &Witness) {
    let (tiers, key) = (Tiers::new(), Arc::from(KEY));
    let flights: Arc<Flights<Ticket, u64>> = Arc::default();
    let asker = {
        let (tiers, flights, key) = (tiers.clone(), Arc::clone(&flights), Arc::clone(&key));
        let witness = witness.clone();
        thread::spawn(move || {
            tiers.store(2);
            tiers.gate.void(&key);
            let boarding = flights.board(&key, tiers.gate.ticket(&key));
            if let Boarding::Join(mut passenger) = boarding {
                let outcome = block_on(passenger.outcome());
                witness.demand(outcome != Some(1), "who asks after a void is told the old");
            }
        })
    };
    let ticket = tiers.gate.ticket(&key);
    if let Boarding::Lead(flight) = flights.board(&key, ticket) {
        let loaded = tiers.stored();
        let renew = |ticket| flight.renew(ticket);
        let closed = tiers.gate.close(&key, Some(ticket), renew);
        flight.land(loaded);
        drop(closed);
    }
    join([asker]);
}

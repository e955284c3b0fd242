//! What a hit in L1 rests on: the proof's two atomics, the number of the last
//! change of a group, the epochs that are known.

use std::sync::Arc;

use loom::sync::Mutex;

use super::{
    clock::Moment,
    core::{Core, Service, StoppedClock},
    entry::{Record, Stamp},
    envelope::Token,
    gate::Gate,
    gate_scenarios::Shelf,
    options::{Coherence, Life},
    proof::Proof,
    tag::{Epoch, Epochs, Mark},
    tags::{Grounds, Known, Tags},
};
use crate::explore::{Shared as _, Witness, join};

scenarios![
    a_hit_after_a_removal_by_group_is_none,
    a_hit_in_doubt_after_a_removal_by_group_is_none,
    an_epoch_asked_for_before_a_change_is_not_learnt,
    a_heartbeat_after_a_gap_does_not_vouch_for_what_is_older,
    the_new_link_s_time_is_no_ground_for_the_old_link,
    an_answer_from_before_a_gap_grants_nothing_after_it,
    the_old_link_s_time_does_not_vouch_for_the_new_link,
];

const LINK: u64 = 1;
const BOUND: u64 = 10;

fn at(millis: u64) -> Moment {
    Moment::from_raw(0).plus_millis(millis)
}

fn epoch(number: u8) -> Epoch {
    Epoch::from_bytes([number; 16])
}

fn known(number: u8) -> Known {
    Known {
        epoch: epoch(number),
        link_epoch: LINK,
        as_of: at(0),
    }
}

struct Process {
    core: Core<Shelf>,
    record: Record<u64>,
}

/// L1 has a record of epoch 1, which is known to be the current one, and proven.
fn process() -> Arc<Process> {
    let it = process_in_doubt();
    it.core.proof.grant(LINK, at(0));
    it.core.tags.learn(Mark::Clear, known(1), it.core.gate.wide());
    it
}

/// L1 has a record of epoch 1, and there is nobody to say whether that is the current one.
fn process_in_doubt() -> Arc<Process> {
    let core = Core {
        gate: Arc::new(Gate::new(Arc::new(Shelf::default()))),
        tags: Arc::new(Tags::default()),
        proof: Proof::of_heartbeats(BOUND),
        clock: StoppedClock(at(5)),
    };
    // Some other group has changed since: the record is to be compared.
    core.gate.turn_wide();
    let life = Life {
        fresh: 60,
        revalidate: 0,
        on_error: 0,
    };
    let record = Record::new(7, Token, life, at(0));
    record.born_under(Arc::new(Epochs::untagged(epoch(1))));
    record.stamp(stamp(LINK));
    Arc::new(Process { core, record })
}

fn stamp(link_epoch: u64) -> Stamp {
    Stamp {
        link_epoch,
        wide: 0,
        as_of: at(0),
    }
}

impl Process {
    fn hit(&self) -> Service {
        self.core
            .service(&self.record, at(5), Coherence::Available)
    }

    fn hear_of_a_clear(&self) {
        let number = || self.core.gate.turn_wide();
        self.core.tags.changed(Mark::Clear, number);
    }
}

/// Two hits and the news of a removal: whoever begins after it was heard, or where
/// it was heard, gets nothing, whatever the hits before have noted in the record.
fn a_hit_after_a_removal_by_group_is_none(witness: &Witness) {
    hits_and_a_removal(&process(), witness);
}

fn a_hit_in_doubt_after_a_removal_by_group_is_none(witness: &Witness) {
    hits_and_a_removal(&process_in_doubt(), witness);
}

fn hits_and_a_removal(it: &Arc<Process>, witness: &Witness) {
    let hits = [(); 2].map(|()| it.apart(|it| _ = it.hit()));
    it.hear_of_a_clear();
    witness.demand(it.hit() == Service::Never, "who heard of it is served");
    join(hits);
    witness.demand(it.hit() == Service::Never, "a removed entry is served");
}

fn an_epoch_asked_for_before_a_change_is_not_learnt(witness: &Witness) {
    let (it, stored) = (process(), Arc::new(Mutex::new(1)));
    let asking = (Arc::clone(&it), Arc::clone(&stored)).apart(|(it, stored)| {
        let asked_at = it.core.gate.wide();
        let answer = *stored.lock().expect("nobody panics");
        it.core.tags.learn(Mark::Clear, known(answer), asked_at);
    });
    *stored.lock().expect("nobody panics") = 2;
    it.hear_of_a_clear();
    join([asking]);
    let grounds = Grounds {
        link_epoch: LINK,
        told: at(0),
        not_before: at(0),
    };
    let known = it.core.tags.known(Mark::Clear, grounds);
    let is_current = known.is_none_or(|known| known.epoch == epoch(2));
    witness.demand(is_current, "an epoch that has passed counts as known");
}

/// The link is lost and proven anew, while a hit looks at what came over the old one.
fn a_heartbeat_after_a_gap_does_not_vouch_for_what_is_older(witness: &Witness) {
    let proof = Arc::new(Proof::of_heartbeats(BOUND));
    proof.grant(LINK, at(0));
    let link = proof.apart(|proof| {
        proof.gap();
        proof.grant(LINK + 1, at(14));
    });
    let covers = proof.covers(LINK, at(15));
    witness.demand(!covers, "the new link vouches for what came over the old");
    join([link]);
}

/// The same for the epochs of groups that are known over a link.
fn the_new_link_s_time_is_no_ground_for_the_old_link(witness: &Witness) {
    let it = process();
    let link = it.apart(|it| {
        it.core.proof.gap();
        it.core.proof.grant(LINK + 1, at(14));
    });
    let grounds = it.core.grounds();
    let is_own = grounds.link_epoch != LINK || grounds.told <= at(0);
    witness.demand(is_own, "the new link vouches for an epoch of the old");
    join([link]);
}

fn an_answer_from_before_a_gap_grants_nothing_after_it(witness: &Witness) {
    let proof = Arc::new(Proof::of_heartbeats(BOUND));
    let answer = proof.apart(|proof| proof.grant(LINK, at(14)));
    proof.gap();
    join([answer]);
    let covers = proof.covers(LINK + 1, at(15));
    witness.demand(!covers, "the old link's heartbeat vouches for the new link");
}

/// One thread loses the link, one gets a record over the new link, one hits it.
fn the_old_link_s_time_does_not_vouch_for_the_new_link(witness: &Witness) {
    let it = process();
    it.core.proof.grant(LINK, at(14));
    let threads = [
        it.apart(|it| it.core.proof.gap()),
        it.apart(|it| it.record.stamp(stamp(it.core.proof.link_epoch()))),
    ];
    let link_epoch = it.record.link_epoch();
    let covers = link_epoch != LINK && it.core.proof.covers(link_epoch, at(15));
    witness.demand(!covers, "what nobody proved yet counts as proven");
    join(threads);
}

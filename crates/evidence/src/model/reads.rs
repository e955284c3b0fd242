//! The walks of a reader: look, join, find, lease, load, keep.

use super::{
    mutant::{Mutant, Rules, Tags},
    promise::Breach,
    redis::{HELD, STORED, YOURS},
    state::{At, Call, Mail, NONE, State, Token, Verb},
};

/// Questions for a lease before a reader loads without one.
const MAX_QUESTIONS: u8 = 3;

impl State {
    /// A read or a refresh begins.
    pub(crate) fn begin_read(&mut self, task: usize, rules: Rules) {
        self.open_eyes(task);
        self.look_or_join(task, rules);
    }

    /// From the look into L1 on. Also for those whose flight ended without an answer.
    fn look_or_join(&mut self, task: usize, rules: Rules) {
        if self.sets_out(task, rules) {
            self.send(task, Verb::Get, (NONE, NONE));
            self.tasks[task].at = At::Asked;
        }
    }

    /// Whether the task is to ask L2: nobody here has an answer for it, nor will have.
    fn sets_out(&mut self, task: usize, rules: Rules) -> bool {
        if self.answer_from_l1(task, rules) || self.join(task, rules) {
            return false;
        }
        self.tasks[task].ticket = true;
        self.tasks[task].is_joinable = true;
        let may_ask = !self.must_not_read(task, rules);
        if !may_ask {
            self.bare(task);
        }
        may_ask
    }

    fn answer_from_l1(&mut self, task: usize, rules: Rules) -> bool {
        let process = usize::from(self.tasks[task].process);
        let entry = match self.tasks[task].call {
            Call::Read => self.hit(process, rules),
            _ => None,
        };
        let Some(entry) = entry else { return false };
        self.processes[process].is_entry_dated = false;
        self.answer(task, self.stored(entry).0, rules);
        self.finish(task);
        true
    }

    /// Joins a flight of this process whose ticket is alive. One that has its value
    /// answers at once; it can be joined until L1 has the value too.
    fn join(&mut self, task: usize, rules: Rules) -> bool {
        let process = self.tasks[task].process;
        let count = usize::from(self.task_count);
        let Some(leader) = (0..count).find(|&other| {
            let flight = &self.tasks[other];
            other != task && flight.process == process && flight.is_joinable
        }) else {
            return false;
        };
        if matches!(self.tasks[leader].at, At::Filling) {
            let value = self.tasks[leader].value;
            self.answer(task, value, rules);
            self.finish(task);
            return true;
        }
        for passenger in self.passengers(task) {
            self.tasks[passenger].leader = u8::try_from(leader).expect("a few tasks");
        }
        let joining = &mut self.tasks[task];
        joining.at = At::Joined;
        joining.leader = u8::try_from(leader).expect("a few tasks");
        true
    }

    /// A write of unknown outcome left L2 in doubt.
    fn must_not_read(&mut self, task: usize, rules: Rules) -> bool {
        self.process_of(task).is_pending() && !rules.breaks(Mutant::PendingReadsStore)
    }

    /// Goes on without a lease: what it loads is handed out and kept nowhere.
    fn bare(&mut self, task: usize) {
        self.tasks[task].token = NONE;
        self.tasks[task].at = At::BareLoading;
    }

    /// A reader's task goes on.
    pub(crate) fn resume_read(&mut self, task: usize, rules: Rules) {
        let mail = std::mem::take(&mut self.tasks[task].mail);
        let is_lost = mail == Mail::Lost;
        match self.tasks[task].at {
            At::Held => self.wake(task, rules),
            At::Loaded | At::BareLoaded => self.loaded(task, rules),
            At::Asked | At::Checking if is_lost => self.bare(task),
            At::Asked => self.found(task, rules),
            At::Checking => self.checked(task, rules),
            At::Leasing if is_lost => {
                self.give_back(task, rules);
                self.bare(task);
            }
            At::Leasing => self.leased(task, rules),
            At::Stamping => self.stamped(task, is_lost, rules),
            At::Filling => self.filled(task, is_lost, rules),
            At::Leaving => self.send_release(task),
            At::Releasing => self.released(task, is_lost, rules),
            at => unreachable!("a reader has nothing to go on with at {at:?}"),
        }
    }

    fn found(&mut self, task: usize, rules: Rules) {
        let token = self.tasks[task].answer;
        match (token, self.tasks[task].call) {
            (NONE, _) => self.lease(task, NONE, rules),
            (_, Call::Refresh) => self.lease(task, token, rules),
            _ => self.consider(task, token, rules),
        }
    }

    /// A value of L2 is good if its tag's epoch still is.
    fn consider(&mut self, task: usize, token: Token, rules: Rules) {
        self.tasks[task].found = token;
        let (_, stamp) = self.stored(token);
        let known = self.process_of(task).table;
        if rules.tags == Tags::None || known == stamp {
            self.accept(task, rules);
        } else if known == 0 {
            self.tasks[task].tag_ticket = true;
            self.send(task, Verb::ReadTag, (NONE, NONE));
            self.tasks[task].at = At::Checking;
        } else {
            self.lease(task, token, rules);
        }
    }

    fn checked(&mut self, task: usize, rules: Rules) {
        let (found, epoch) = (self.tasks[task].found, self.tasks[task].stamp);
        self.install(task, epoch, rules);
        if self.stored(found).1 == epoch {
            self.accept(task, rules);
        } else {
            self.lease(task, found, rules);
        }
    }

    fn accept(&mut self, task: usize, rules: Rules) {
        let token = self.tasks[task].found;
        self.publish(task, token, rules);
        self.answer(task, self.stored(token).0, rules);
        self.finish(task);
    }

    fn lease(&mut self, task: usize, refused: Token, rules: Rules) {
        let asker = &mut self.tasks[task];
        if asker.attempt == MAX_QUESTIONS {
            return self.bare(task);
        }
        asker.refused = refused;
        asker.tag_ticket = true;
        let token = asker.draw(task);
        match rules.tags {
            Tags::None => {}
            // Captured before the load, or never.
            Tags::Before if rules.breaks(Mutant::EpochCapturedAfterLoad) => {}
            Tags::Before => self.send(task, Verb::ReadTag, (NONE, NONE)),
            Tags::After => self.send(task, Verb::ReadClock, (NONE, NONE)),
        }
        self.send(task, Verb::Lease, (token, refused));
        self.tasks[task].at = At::Leasing;
    }

    fn leased(&mut self, task: usize, rules: Rules) {
        if rules.tags == Tags::Before && !rules.breaks(Mutant::EpochCapturedAfterLoad) {
            self.install(task, self.tasks[task].stamp, rules);
        }
        match (self.tasks[task].answer, self.tasks[task].call) {
            (YOURS, _) => self.tasks[task].at = At::Loading,
            (HELD, Call::Refresh) => self.vanish(task, rules),
            (HELD, _) => {
                self.tasks[task].token = NONE;
                self.tasks[task].is_signalled = false;
                self.tasks[task].at = At::Held;
            }
            (token, _) if token == self.tasks[task].refused => {
                self.report(Breach::Irreplaceable);
            }
            (token, _) => self.consider(task, token, rules),
        }
    }

    /// A refresh does not wait for somebody else's load. Who joined it starts afresh.
    fn vanish(&mut self, task: usize, rules: Rules) {
        self.finish(task);
        for passenger in self.passengers(task) {
            self.look_or_join(passenger, rules);
        }
    }

    /// Waits until the ticket is dead: not for a signal, which may be over already.
    pub(crate) fn is_woken(&self, task: usize, rules: Rules) -> bool {
        let waiting = &self.tasks[task];
        if rules.breaks(Mutant::WaitsForNextSignal) {
            waiting.is_signalled
        } else {
            !waiting.ticket
        }
    }

    /// A new ticket: the wake-up was the end of the old one.
    fn wake(&mut self, task: usize, rules: Rules) {
        self.tasks[task].is_signalled = false;
        if self.sets_out(task, rules) {
            self.lease(task, NONE, rules);
        }
    }

    /// The source is read: a step of its own, for a load may be slow.
    pub(crate) fn read_source(&mut self, task: usize) {
        self.tasks[task].value = 2 * self.source;
        self.tasks[task].at = match self.tasks[task].at {
            At::Loading => At::Loaded,
            _ => At::BareLoaded,
        };
    }

    /// The load fails. What stands in, if anything, is what L1 still holds.
    pub(crate) fn fail_load(&mut self, task: usize, rules: Rules) {
        let process = usize::from(self.tasks[task].process);
        let shelf = self.processes[process].shelf;
        let stand_in = self
            .hit(process, rules)
            .or((shelf != NONE).then_some(shelf));
        if let Some(token) = stand_in {
            self.answer(task, self.stored(token).0, rules);
        }
        self.end_flight(task);
        if self.tasks[task].at == At::Loading {
            self.release(task, rules);
        } else {
            self.finish(task);
        }
    }

    /// Nobody joins any more, and who did is told that there is nothing.
    fn end_flight(&mut self, task: usize) {
        self.tasks[task].is_joinable = false;
        for passenger in self.passengers(task) {
            self.finish(passenger);
        }
    }

    fn loaded(&mut self, task: usize, rules: Rules) {
        if self.tasks[task].at == At::BareLoaded {
            let value = self.tasks[task].value;
            self.answer(task, value, rules);
            if rules.breaks(Mutant::BareLoadPublished) {
                let token = self.tasks[task].draw(task);
                self.tasks[task].is_stored = true;
                self.publish(task, token, rules);
            }
            return self.finish(task);
        }
        match rules.tags {
            Tags::Before if rules.breaks(Mutant::EpochCapturedAfterLoad) => {
                self.send(task, Verb::ReadTag, (NONE, NONE));
                self.tasks[task].at = At::Stamping;
            }
            Tags::None | Tags::Before => self.keep(task, rules),
            Tags::After => {
                self.tasks[task].tag_ticket = true;
                self.send(task, Verb::ReadTag, (NONE, NONE));
                self.send(task, Verb::ReadClock, (NONE, NONE));
                self.tasks[task].at = At::Stamping;
            }
        }
    }

    /// The tag's epoch, and then the clock, are known: was it the right epoch during the load?
    fn stamped(&mut self, task: usize, is_lost: bool, rules: Rules) {
        let flight = &self.tasks[task];
        let is_sound = flight.clock == flight.clock_after || rules.breaks(Mutant::ClockNotCompared);
        if !is_lost {
            let stamp = flight.stamp;
            self.install(task, stamp, rules);
        }
        if !is_lost && is_sound {
            return self.keep(task, rules);
        }
        let value = self.tasks[task].value;
        self.answer(task, value, rules);
        self.end_flight(task);
        self.release(task, rules);
    }

    fn keep(&mut self, task: usize, rules: Rules) {
        let flight = self.tasks[task];
        self.answer(task, flight.value, rules);
        self.tasks[task].is_stored = true;
        self.close(task, true, rules);
        self.send(task, Verb::Fill, (flight.token, NONE));
        self.tasks[task].at = At::Filling;
    }

    fn filled(&mut self, task: usize, is_lost: bool, rules: Rules) {
        let is_stored = !is_lost && self.tasks[task].answer == STORED;
        let lets_in = is_stored || (!is_lost && rules.breaks(Mutant::RefusedFillPublished));
        let token = self.tasks[task].token;
        self.open(task, lets_in.then_some(token), rules);
        if is_lost {
            // Whoever holds a lease gives it back, even if the fill may have used it.
            self.release(task, rules);
        } else {
            self.finish(task);
        }
    }

    fn release(&mut self, task: usize, rules: Rules) {
        if rules.breaks(Mutant::ReleaseWakesWhenSent) {
            self.turn(usize::from(self.tasks[task].process));
            self.tasks[task].at = At::Leaving;
            return;
        }
        self.send_release(task);
    }

    fn send_release(&mut self, task: usize) {
        let token = self.tasks[task].token;
        self.send(task, Verb::Release, (token, NONE));
        self.tasks[task].at = At::Releasing;
    }

    /// The answer to LEASE is lost and may have been "yours": a task of its own gives it back.
    fn give_back(&mut self, task: usize, rules: Rules) {
        let leaver = self.tasks[task];
        let guard = self.spawn(Call::GiveBack, leaver.process);
        self.tasks[guard].token = leaver.token;
        self.release(guard, rules);
    }

    /// No store tells us of our own removal, so its end wakes who was told "held":
    /// whatever came of it. A reply that was not waited for is no reason to sleep on.
    fn released(&mut self, task: usize, is_lost: bool, rules: Rules) {
        let process = usize::from(self.tasks[task].process);
        let is_deaf = rules.breaks(Mutant::ReleaseWakesNobody)
            || rules.breaks(Mutant::ReleaseWakesWhenSent)
            || (is_lost && rules.breaks(Mutant::ReleaseWakesOnlyOnReply));
        if !is_deaf && rules.breaks(Mutant::ReleaseVoids) {
            self.void(process, rules);
        } else if !is_deaf {
            self.turn(process);
        }
        self.finish(task);
    }
}

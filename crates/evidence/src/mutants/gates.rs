//! Around the gate: tickets, closed stripes, writes that fail.

use super::code::CodeMutant;

pub(super) const MUTANTS: &[CodeMutant] = &[
    CodeMutant {
        name: "TicketNotCompared",
        rule: "idea 1",
        file: "gate.rs",
        old: "self.ticket_of(&stripe) == ticket && stripe.closed == 0 && ",
        new: "ticket == ticket && stripe.closed == 0 && ",
        caught_by: &["pending::what_is_removed_during_a_read_of_the_store_does_not_come_back"],
    },
    CodeMutant {
        name: "PublishWhileClosed",
        rule: "C14",
        file: "gate.rs",
        old: "self.ticket_of(&stripe) == ticket && stripe.closed == 0 && ",
        new: "self.ticket_of(&stripe) == ticket && ",
        caught_by: &["pending::a_set_whose_caller_left_is_carried_through"],
    },
    CodeMutant {
        name: "OpenVoidsOnlyIfItInserts",
        rule: "C4",
        file: "gate.rs",
        old: "        let taken = self.gate.turn(self.stripe, &mut stripe, Some(&key));
        if undisturbed {",
        new: "        let taken = undisturbed
            .then(|| self.gate.turn(self.stripe, &mut stripe, Some(&key)));
        if undisturbed {",
        caught_by: &["guards::a_stirred_stripe_is_emptied_when_the_write_ends"],
    },
    CodeMutant {
        name: "RemovedFirstThenSent",
        rule: "C14",
        file: "write.rs",
        old: "    let closed = core.gate.close(&key, None, |_| ());
    let unanswered = Unanswered::new(&core, item.clone(), closed);
    remote.remove(&key).await?;",
        new: "    core.gate.void(&key);
    tokio::task::yield_now().await;
    let unanswered = Unanswered::new(&core, item.clone(), ());
    remote.remove(&key).await?;",
        caught_by: &["guards::a_stirred_stripe_is_emptied_when_the_write_ends"],
    },
    CodeMutant {
        name: "WriteDiesWithItsCaller",
        rule: "C3",
        file: "write.rs",
        old: "    let joined = core.tasks.spawn(task).await;
    joined.unwrap_or_else(|_| Err(Error::write_lost(verb, what)))",
        new: "    let _ = (core, verb, what);
    task.await",
        caught_by: &["pending::a_set_whose_caller_left_is_carried_through"],
    },
    CodeMutant {
        name: "RefusedSetLeavesTheOld",
        rule: "C1",
        file: "write.rs",
        old: "order.fill(bytes, replaces)",
        new: "order.fill(bytes, replaces.filter(|_| false))",
        caught_by: &[
            "two_processes::a_set_that_was_overtaken_by_a_lease_leaves_nothing_older_behind",
        ],
    },
    CodeMutant {
        name: "FailedWriteIsNotListed",
        rule: "C10",
        file: "write.rs",
        old: "            self.core.pending.add(item);",
        new: "            drop(item);",
        caught_by: &[
            "pending::a_key_whose_write_failed_is_not_read_from_the_store_until_it_is_settled",
        ],
    },
    CodeMutant {
        name: "PendingGetReadsTheStore",
        rule: "C10",
        file: "read.rs",
        old: "    if core.pending.has(key) {
        return None;
    }",
        new: "",
        caught_by: &[
            "pending::a_key_whose_write_failed_is_not_read_from_the_store_until_it_is_settled",
        ],
    },
    CodeMutant {
        name: "PendingLoadReadsTheStore",
        rule: "C10",
        file: "lead.rs",
        old: "            _ if core.pending.has(&self.key) => return Some(Right::Nothing),",
        new: "",
        caught_by: &[
            "pending::a_key_whose_write_failed_is_not_read_from_the_store_until_it_is_settled",
        ],
    },
];

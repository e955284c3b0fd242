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
        return silence();
    }",
        new: "",
        caught_by: &[
            "pending::a_key_whose_write_failed_is_not_read_from_the_store_until_it_is_settled",
        ],
    },
    CodeMutant {
        name: "SilenceIsAbsence",
        rule: "(no L1)",
        file: "read.rs",
        old: "Found::Failed | Found::NotOurs => return silence(),",
        new: "Found::Failed | Found::NotOurs => return Ok(None),",
        caught_by: &["no_local::a_store_that_fails_is_an_error_and_never_an_absence"],
    },
    CodeMutant {
        name: "PendingLoadReadsTheStore",
        rule: "C10",
        file: "lead/find.rs",
        old: "            _ if core.pending.has(&self.key) => return Some(Right::Nothing),",
        new: "",
        caught_by: &[
            "pending::a_key_whose_write_failed_is_not_read_from_the_store_until_it_is_settled",
        ],
    },
    CodeMutant {
        name: "PendingWaiterReadsTheStore",
        rule: "C10",
        file: "lead/find.rs",
        old: "        if self.core.pending.has(&self.key) {
            return Break(Some(Right::Nothing));
        }",
        new: "",
        caught_by: &[
            "rules::who_waits_for_a_lease_does_without_the_store_once_a_remove_has_failed",
        ],
    },
    CodeMutant {
        name: "SettlesForeignListing",
        rule: "(listing)",
        file: "pending.rs",
        old: "if items.get(item) == Some(&listing.0) {",
        new: "if items.get(item) <= Some(&u64::MAX.max(listing.0)) {",
        caught_by: &["rules::a_removal_settles_nothing_that_was_listed_after_it_began"],
    },
    CodeMutant {
        name: "SetInOneTrip",
        rule: "C2",
        file: "write.rs",
        old: "    let force = remote.force(&order.key, order.record.token(), core.set_hold);
    let (current, replaces) = try_join(epochs, force).await?;
    if let Some(outset)",
        new: "    let force = remote.force(&order.key, order.record.token(), core.set_hold);
    let current = epochs.await?;
    let one_trip = Epochs {
        clear: current[0],
        tags: tags.iter().cloned().zip(current[1..].iter().copied()).collect(),
    };
    let bytes = order.wrap(remote, body, &one_trip);
    if tags.is_empty() {
        order.record.born_under(Arc::new(one_trip));
        let fill = remote.fill(&order.key, order.fill(bytes, None));
        return try_join(force, fill).await.map(|(_, outcome)| outcome);
    }
    let replaces = force.await?;
    if let Some(outset)",
        caught_by: &["rules::the_fill_of_a_set_waits_for_the_answer_to_its_force"],
    },
    CodeMutant {
        name: "CloseDoesNotVoid",
        rule: "C14",
        file: "gate.rs",
        old: "        let taken = self.turn(index, &mut stripe, Some(key));
        // The wide",
        new: "        let taken = self.turn(index, &mut stripe, None);
        // The wide",
        caught_by: &["rules::nothing_is_served_from_l1_while_its_removal_is_under_way"],
    },
];

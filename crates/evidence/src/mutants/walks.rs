//! Flights, leases, and the scripts that fence them.

use super::code::CodeMutant;

pub(super) const MUTANTS: &[CodeMutant] = &[
    CodeMutant {
        name: "FlightJoinedByKeyAlone",
        rule: "C7",
        file: "flight.rs",
        old: "Some(other) if other.generation == generation =>",
        new: "Some(other) if other.generation <= generation =>",
        caught_by: &["pending::what_changes_during_a_load_is_seen_by_whoever_comes_later"],
    },
    CodeMutant {
        name: "NothingIsRefused",
        rule: "C17",
        file: "remote.rs",
        old: "            refuse,
            limit:",
        new: "            refuse: refuse.filter(|_| false),
            limit:",
        caught_by: &["refreshes::a_refresh_loads_anew_although_the_value_is_fresh"],
    },
    CodeMutant {
        name: "StaleCopyOutlivesVoid",
        rule: "C21",
        file: "lead.rs",
        old: "let is_held = alive || self.is_in_l1(record);",
        new: "let is_held = alive || true;",
        caught_by: &["windows::what_is_removed_during_a_failing_load_does_not_stand_in_for_it"],
    },
    CodeMutant {
        name: "FillWithoutToken",
        rule: "(o)",
        file: "store/redis/script.rs",
        old: "if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('SET'",
        new: "if true then
  redis.call('SET'",
        caught_by: &["two_processes::a_fill_whose_lease_another_process_removed_does_not_land"],
    },
    CodeMutant {
        name: "RemoveLeavesTheLease",
        rule: "(a)",
        file: "store/redis/mod.rs",
        old: "                .arg(self.keys.value(slot))
                .arg(self.keys.lease(slot));",
        new: "                .arg(self.keys.value(slot));",
        caught_by: &["two_processes::a_fill_whose_lease_another_process_removed_does_not_land"],
    },
    CodeMutant {
        name: "LeaseForgetsToWatch",
        rule: "C5",
        file: "store/redis/script.rs",
        old: "redis.call('EXISTS', KEYS[2])
return {2",
        new: "return {2",
        caught_by: &["fences::what_was_filled_and_what_was_leased_stay_registered"],
    },
    CodeMutant {
        name: "LeasePushIgnored",
        rule: "C5",
        file: "store/redis/keys.rs",
        old: r#"("v" | "l", Some(key)) => Meaning::Slot(key),"#,
        new: r#"("v", Some(key)) => Meaning::Slot(key),"#,
        caught_by: &["fences::what_was_filled_and_what_was_leased_stay_registered"],
    },
    CodeMutant {
        name: "FillForgetsToWatch",
        rule: "C6",
        file: "store/redis/script.rs",
        old: "  redis.call('EXISTS', KEYS[1])
  return 1",
        new: "  return 1",
        caught_by: &["fences::what_was_filled_and_what_was_leased_stay_registered"],
    },
    CodeMutant {
        name: "LeaseShorterThanTheLoad",
        rule: "hold",
        file: "options.rs",
        old: "self.load_timeout + LEASE_MARGIN",
        new: "self.load_timeout - LEASE_MARGIN",
        caught_by: &["rules::the_lease_of_a_load_lasts_as_long_as_the_load_may"],
    },
    CodeMutant {
        name: "BareLoadIsProven",
        rule: "C22",
        file: "core.rs",
        old: "            Some(_) => UNCONFIRMED,
        };
        Stamp",
        new: "            Some(_) => self.proof.link_epoch(),
        };
        Stamp",
        caught_by: &["rules::what_was_loaded_without_a_lease_is_not_proven"],
    },
    CodeMutant {
        name: "RefusedFillPublished",
        rule: "C22",
        file: "write.rs",
        old: "        Ok(FillOutcome::Refused) => Filled::Answered,
        // L1",
        new: "        Ok(FillOutcome::Refused) => {
            if let Some(outset) = outset {
                order.let_in(Some(closed), core.stamp(outset, outset.at));
            }
            Filled::Answered
        }
        // L1",
        caught_by: &["rules::what_a_refused_fill_brought_is_not_kept_although_nothing_was_heard"],
    },
    CodeMutant {
        name: "ReleaseWakesNobody",
        rule: "C23",
        file: "write.rs",
        old: "    core.gate.stir(key);
",
        new: "",
        caught_by: &["rules::a_lease_that_is_given_back_here_wakes_who_waits_for_it_here"],
    },
    CodeMutant {
        name: "RecoveryOneByOne",
        rule: "G5",
        file: "recover.rs",
        old: "const AT_ONCE: usize = 64;",
        new: "const AT_ONCE: usize = 1;",
        caught_by: &["recovery::what_is_pending_is_settled_many_at_a_time"],
    },
    CodeMutant {
        name: "RecoveryOutlivesItsCache",
        rule: "idea 9",
        file: "listen.rs",
        old: "            let stop = core.stop.clone();
            stop.run_until_cancelled(recover::recover(&core)).await;",
        new: "            recover::recover(&core).await;",
        caught_by: &["recovery::a_cache_that_is_closed_leaves_what_is_pending"],
    },
    CodeMutant {
        name: "SharedWithoutALook",
        rule: "G3",
        file: "read.rs",
        old: "        Ok(entry) => match core.service(",
        new: "        Ok(entry) if coherence == Coherence::Available || entry.proven() => {
            entry.at(now()).map(Ok)
        }
        Ok(entry) => match core.service(",
        caught_by: &[
            "coherence_required::what_a_flight_found_is_looked_at_again_for_who_joins_it_later",
        ],
    },
    CodeMutant {
        name: "JoinsForEver",
        rule: "(bound)",
        file: "read.rs",
        old: "if attempts == MAX_ATTEMPTS =>",
        new: "if attempts == usize::MAX - MAX_ATTEMPTS =>",
        caught_by: &["foreign_code::who_joins_flights_that_panic_leads_one_of_his_own_after_three"],
    },
    CodeMutant {
        name: "OneRefusalEndsTheRound",
        rule: "C10",
        file: "recover.rs",
        old: "if !error.is_refusal() || ",
        new: "if refused > 0 || ",
        caught_by: &["recovery::a_key_that_is_always_refused_keeps_no_other_from_being_settled"],
    },
    CodeMutant {
        name: "RefusalsWithoutABound",
        rule: "(bound)",
        file: "recover.rs",
        old: "|| refused == MOST_REFUSALS {",
        new: "|| refused == usize::MAX - MOST_REFUSALS {",
        caught_by: &[
            "recovery::a_store_that_refuses_every_removal_is_left_alone_until_the_next_heartbeat",
        ],
    },
    CodeMutant {
        name: "UnreachableIsAskedOn",
        rule: "(bound)",
        file: "recover.rs",
        old: "if !error.is_refusal() || ",
        new: "if ",
        caught_by: &[
            "recovery::a_store_that_cannot_be_reached_is_left_alone_until_the_next_heartbeat",
        ],
    },
];

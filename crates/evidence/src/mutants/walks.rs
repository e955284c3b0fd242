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
        old: "record.freshness(now) == Freshness::Expired || !(alive || self.is_in_l1(record))",
        new: "record.freshness(now) == Freshness::Expired || (alive && false)",
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
];

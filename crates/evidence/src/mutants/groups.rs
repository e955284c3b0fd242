//! Tags, everything, prefixes: their epochs, and the order of their steps.

use super::code::CodeMutant;

pub(super) const MUTANTS: &[CodeMutant] = &[
    CodeMutant {
        name: "RemovedGroupKeepsFlights",
        rule: "idea 2",
        file: "group.rs",
        old: "core.tags.close(*mark, move || gate.turn_wide())",
        new: "core.tags.close(*mark, move || gate.wide())",
        caught_by: &["pending::what_changes_during_a_load_is_seen_by_whoever_comes_later"],
    },
    CodeMutant {
        name: "UnsureForGood",
        rule: "G1",
        file: "entry.rs",
        old: "self.wide() == wide | UNSURE",
        new: "self.wide() & UNSURE != 0 && wide > 0",
        caught_by: &[
            "groups_pending::what_is_served_unproven_in_an_outage_is_gone_once_its_group_is_removed",
        ],
    },
    CodeMutant {
        name: "TagBeforeClock",
        rule: "C8",
        file: "group.rs",
        old: "&[Mark::Clock, Mark::Tag(&tag)]",
        new: "&[Mark::Tag(&tag), Mark::Clock]",
        caught_by: &["fences::the_clock_moves_before_the_tag_and_is_read_after_it"],
    },
    CodeMutant {
        name: "ClockReadBeforeTheTags",
        rule: "C8",
        file: "write.rs",
        old: "    let Ok(epochs) = remote.epochs(&marks, remote.patience()).await else {
        return Born::Unknown;
    };",
        new: "    let mut asked = marks.clone();
    asked.rotate_right(1);
    let Ok(mut epochs) = remote.epochs(&asked, remote.patience()).await else {
        return Born::Unknown;
    };
    epochs.rotate_left(1);",
        caught_by: &["fences::the_clock_moves_before_the_tag_and_is_read_after_it"],
    },
    CodeMutant {
        name: "EpochForgetsToWatch",
        rule: "C6",
        file: "store/redis/script.rs",
        old: r#"return redis.call('GET', KEYS[1])";"#,
        new: r#"return ARGV[1]";"#,
        caught_by: &["fences::an_epoch_that_was_written_here_stays_registered"],
    },
    CodeMutant {
        name: "RenewForgetsToWatch",
        rule: "C6",
        file: "store/redis/script.rs",
        old: r#"return redis.call('EXISTS', KEYS[1])";"#,
        new: r#"return 1";"#,
        caught_by: &["fences::an_epoch_that_was_written_here_stays_registered"],
    },
    CodeMutant {
        name: "ValuesBeforeLeases",
        rule: "C18",
        file: "store/redis/sweep.rs",
        old: r#"    leases
        .remove(|keys| redis::cmd("DEL").arg(keys).take())
        .await?;
    let values = Walk {
        family: 'v',
        ..leases
    };
"#,
        new: r#"    let values = Walk {
        family: 'v',
        ..leases
    };
    let unlink = |keys: &[Vec<u8>]| {
        let mut command = redis::cmd("UNLINK");
        for key in keys {
            command.arg(key).arg(store.keys.lease_of_value(key));
        }
        command
    };
    let removed = values.remove(unlink).await?;
    let values = Walk {
        family: 'l',
        ..values
    };
    if removed < u64::MAX {
        values
            .remove(|keys| redis::cmd("DEL").arg(keys).take())
            .await?;
        return Ok(removed);
    }
"#,
        caught_by: &["fences::leases_are_walked_before_values"],
    },
    CodeMutant {
        name: "ClockNotCompared",
        rule: "C8",
        file: "write.rs",
        old: "if *clock != before.clock {",
        new: "if *clock != before.clock && false {",
        caught_by: &[
            "groups::a_load_whose_tag_was_removed_meanwhile_is_handed_out_and_stored_nowhere",
        ],
    },
    CodeMutant {
        name: "TagPushIgnored",
        rule: "idea 7",
        file: "listen.rs",
        old: "Changed::Mark(mark) => core",
        new: "Changed::Mark(mark @ crate::tag::Mark::Tag(_)) => _ = mark,
            Changed::Mark(mark) => core",
        caught_by: &["fences::an_epoch_that_was_written_here_stays_registered"],
    },
    CodeMutant {
        name: "HitIgnoresTheTable",
        rule: "HIT",
        file: "core.rs",
        old: "if record.wide() != wide
",
        new: "if record.wide() != wide && false
",
        caught_by: &["groups::a_group_goes_with_all_its_members_and_nothing_else"],
    },
    CodeMutant {
        name: "SameEpochTwice",
        rule: "C11",
        file: "group.rs",
        old: "marks.iter().map(|_| Epoch::random())",
        new: "marks.iter().map(|_| Epoch::from_bytes([7; 16]))",
        caught_by: &[
            "groups_pending::no_attempt_to_remove_a_group_sends_an_epoch_that_was_sent_before",
        ],
    },
    CodeMutant {
        name: "EpochCapturedAfterTheLoad",
        rule: "C8",
        file: "write.rs",
        old: "        return Born::Under(Epochs::untagged(before.clear), before.as_of);",
        new: "        let late = remote.epochs(&[Mark::Clear], remote.patience()).await;
        let Ok(late) = late else {
            return Born::Unknown;
        };
        return Born::Under(Epochs::untagged(late[0]), before.as_of);",
        caught_by: &["rules::what_was_loaded_before_a_clear_is_dead_although_nothing_was_heard"],
    },
    CodeMutant {
        name: "FailedRemovalForgotten",
        rule: "G1",
        file: "tags.rs",
        old: "if place.removed_at > checked_at {",
        new: "if place.removed_at > checked_at && false {",
        caught_by: &[
            "groups_pending::what_l1_held_of_a_group_whose_removal_failed_stays_dead_once_its_epoch_is_known",
        ],
    },
    CodeMutant {
        name: "ReadDuringAFailedRemovalLives",
        rule: "G1",
        file: "tags.rs",
        old: "        if place.known.is_none() {
            place.removed_at = number;
        }",
        new: "",
        caught_by: &[
            "groups_pending::what_was_read_during_a_removal_that_failed_is_dead_once_its_epoch_is_known",
        ],
    },
    CodeMutant {
        name: "FailedClearKeepsItsMemory",
        rule: "(memory)",
        file: "group.rs",
        old: "    core.local.clear();
    renewed?;",
        new: "    renewed?;
    core.local.clear();",
        caught_by: &["groups_pending::a_clear_that_failed_frees_the_memory_of_l1_all_the_same"],
    },
    CodeMutant {
        name: "PatternsWithoutABound",
        rule: "(bound)",
        file: "pending.rs",
        old: "const MAX_PATTERNS: usize = 64;",
        new: "const MAX_PATTERNS: usize = usize::MAX;",
        caught_by: &[
            "groups_pending::more_failed_patterns_than_a_miss_should_look_at_become_a_clear",
        ],
    },
    CodeMutant {
        name: "WalkOutlivesItsCache",
        rule: "idea 9",
        file: "group.rs",
        old: "        let walk = core
            .stop
            .run_until_cancelled(remote.remove_matching(&pattern));",
        new: "        let walk = async { Some(remote.remove_matching(&pattern).await) };",
        caught_by: &["group_keys::a_walk_over_the_keys_ends_when_its_cache_is_closed"],
    },
    CodeMutant {
        name: "LeasesCountAsValues",
        rule: "(count)",
        file: "store/redis/sweep.rs",
        old: "removed += gone.min(u64",
        new: "removed += gone.max(u64",
        caught_by: &["group_keys::a_removal_by_prefix_counts_values_and_not_their_leases"],
    },
];

//! What the store tells, how it is proven to have told everything, and what if not.

use super::code::CodeMutant;

pub(super) const MUTANTS: &[CodeMutant] = &[
    CodeMutant {
        name: "KeyPushIgnored",
        rule: "idea 5",
        file: "listen.rs",
        old: "Changed::Key(key) => write::void(&core, key),",
        new: "Changed::Key(_) => {}",
        caught_by: &["rules::what_another_process_changes_is_neither_kept_nor_let_in"],
    },
    CodeMutant {
        name: "PushVoidsAndBumpsNot",
        rule: "C16",
        file: "gate.rs",
        old: "let taken = self.turn(index, &mut self.stripes[index].lock(), Some(key));",
        new: "let taken = {
            let _stripe = self.stripes[index].lock();
            self.guarded.take(key)
        };",
        caught_by: &["rules::what_another_process_changes_is_neither_kept_nor_let_in"],
    },
    CodeMutant {
        name: "NullIgnored",
        rule: "C7",
        file: "store/redis/news.rs",
        old: "[Value::Nil] => self.gap(Gap::Over),",
        new: "[Value::Nil] => {}",
        caught_by: &["fences::a_flush_is_heard"],
    },
    CodeMutant {
        name: "OddNewsIgnored",
        rule: "PUSH",
        file: "store/redis/news.rs",
        old: "            _ => return Err(Garbled),
        }
        Ok(())",
        new: "            _ => {}
        }
        Ok(())",
        caught_by: &["heartbeats::news_that_cannot_be_understood_is_a_gap"],
    },
    CodeMutant {
        name: "TwoCachesOnOneLink",
        rule: "C12",
        file: "listen.rs",
        old: "    if !remote.listen(Arc::downgrade(&ear)) {",
        new: "    if !remote.listen(Arc::downgrade(&ear)) && false {",
        caught_by: &["rules::a_second_cache_of_one_name_on_one_link_is_refused"],
    },
    CodeMutant {
        name: "SecondEarTaken",
        rule: "C12",
        file: "store/redis/news.rs",
        old: "            return false;
        }
        let ear",
        new: "        }
        let ear",
        caught_by: &["rules::a_second_cache_of_one_name_on_one_link_is_refused"],
    },
    CodeMutant {
        name: "RoleNotCompared",
        rule: "C13",
        file: "store/redis/vitals.rs",
        old: "(hello.id, hello.is_primary) == (identity.id, identity.is_primary)",
        new: "hello.id == identity.id",
        caught_by: &["heartbeats::a_primary_that_is_demoted_proves_nothing"],
    },
    CodeMutant {
        name: "IdNotCompared",
        rule: "C13",
        file: "store/redis/vitals.rs",
        old: "(hello.id, hello.is_primary) == (identity.id, identity.is_primary)",
        new: "hello.is_primary == identity.is_primary",
        caught_by: &["heartbeats::a_connection_that_leads_to_another_server_proves_nothing"],
    },
    CodeMutant {
        name: "FlagsNotCompared",
        rule: "C13",
        file: "store/redis/vitals.rs",
        old: r#"has("on") && has("noloop") && !unwanted.into_iter().any(has)"#,
        new: r#"has("on") || !unwanted.into_iter().any(has) || true"#,
        caught_by: &["heartbeats::a_connection_that_does_not_track_as_it_should_proves_nothing"],
    },
    CodeMutant {
        name: "HeartbeatLeavesEpochsCold",
        rule: "C19",
        file: "store/redis/vitals.rs",
        old: r#"    for key in keys {
        commands.cmd("GET")"#,
        new: r#"    for key in keys.iter().skip(2) {
        commands.cmd("GET")"#,
        caught_by: &["fences::heartbeats_keep_the_epochs_of_everything_warm"],
    },
    CodeMutant {
        name: "ProofByArrival",
        rule: "C14",
        file: "listen.rs",
        old: "core.proof.grant(link_epoch, sent)",
        new: "core.proof.grant(link_epoch, core.clock.now().max(sent))",
        caught_by: &["rules::a_proof_counts_from_the_sending_of_its_heartbeat_and_runs_out"],
    },
    CodeMutant {
        name: "ProofNeverRunsOut",
        rule: "C14",
        file: "proof.rs",
        old: "        now < until && self",
        new: "        (now < until || until > Moment::NEVER) && self",
        caught_by: &["rules::a_proof_counts_from_the_sending_of_its_heartbeat_and_runs_out"],
    },
    CodeMutant {
        name: "GapKeepsTheLinkEpoch",
        rule: "C7",
        file: "proof.rs",
        old: "        self.link_epoch.fetch_add(1, Release);",
        new: "",
        caught_by: &["rules::what_was_got_before_a_gap_is_not_proven_by_the_heartbeats_after_it"],
    },
    CodeMutant {
        name: "GapKeepsTickets",
        rule: "C7",
        file: "listen.rs",
        old: "    core.gate.turn_wide();
    core.urgent",
        new: "    core.urgent",
        caught_by: &[
            "gaps::what_is_in_flight_over_a_gap_is_not_proven_afterwards",
            "gaps::who_comes_after_a_gap_does_not_join_a_load_from_before_it",
        ],
    },
    CodeMutant {
        name: "NobodyLooksAgain",
        rule: "LOOK AGAIN",
        file: "core.rs",
        old: "coherence == Coherence::Available && !self.proof.is_answering()",
        new: "coherence == Coherence::Available",
        caught_by: &["gaps::what_others_changed_behind_a_cut_link_is_found_out_when_it_is_whole"],
    },
    CodeMutant {
        name: "RequiredIsServedUnproven",
        rule: "Required",
        file: "core.rs",
        old: "coherence == Coherence::Available && !self.proof.is_answering()",
        new: "!self.proof.is_answering()",
        caught_by: &["gaps::over_a_half_open_link_nothing_is_proven_beyond_the_bound_and_it_heals"],
    },
    CodeMutant {
        name: "DeafCountsAsHearing",
        rule: "age check",
        file: "listen.rs",
        old: "Hearing::Deaf => beats.is_deaf = true,",
        new: "Hearing::Deaf => core.proof.grant(link_epoch, sent),",
        caught_by: &["gaps::behind_a_deaf_link_what_is_older_than_the_bound_is_looked_at_again"],
    },
    CodeMutant {
        name: "UnheardCanaryCountsAsHeard",
        rule: "age check",
        file: "store/redis/vitals.rs",
        old: "Heartbeat::new(Hearing::Deaf)",
        new: "Heartbeat::new(Hearing::Complete)",
        caught_by: &[
            "age_check::pushes_that_vanish_are_found_out_and_what_is_held_is_looked_at_again",
        ],
    },
    CodeMutant {
        name: "ReplicaVouches",
        rule: "G3",
        file: "listen.rs",
        old: "let answering = answer.hearing != Hearing::Behind;",
        new: "let answering = true;",
        caught_by: &["refusals::what_a_replica_hands_out_is_served_and_never_proven"],
    },
    CodeMutant {
        name: "AnyListenerIsHushed",
        rule: "C12",
        file: "store/redis/news.rs",
        old: "name != cache || !Weak::ptr_eq(&ear.listener, own)",
        new: "name != cache || Weak::ptr_eq(own, own) && ear.evicted == u64::MAX",
        caught_by: &["rules::whoever_gives_a_name_up_leaves_it_to_another_who_has_it"],
    },
    CodeMutant {
        name: "DroppedCacheKeepsItsName",
        rule: "C12",
        file: "cache.rs",
        old: "        self.0.give_up_name();",
        new: "        let _ = &self.0;",
        caught_by: &["rules::the_name_of_a_cache_that_was_closed_or_dropped_is_free_at_once"],
    },
    CodeMutant {
        name: "ClosedCacheKeepsItsName",
        rule: "C12",
        file: "core.rs",
        old: "        self.give_up_name();
",
        new: "",
        caught_by: &["rules::the_name_of_a_cache_that_was_closed_or_dropped_is_free_at_once"],
    },
    CodeMutant {
        name: "PanicEndsTheHeartbeats",
        rule: "idea 9",
        file: "remote.rs",
        old: "let asked = AssertUnwindSafe(asked).catch_unwind();",
        new: "let asked = asked.map(Ok::<_, Box<dyn std::any::Any + Send>>);
        let _ = AssertUnwindSafe(());",
        caught_by: &["foreign_code::heartbeats_go_on_after_one_that_makes_the_store_panic"],
    },
    CodeMutant {
        name: "SilentCanaryIsKept",
        rule: "(canary)",
        file: "store/redis/vitals.rs",
        old: "            // Nothing may come through it any more although it is up.
            *self.outside.lock() = Outside::Absent;
",
        new: "",
        caught_by: &["news::a_second_connection_that_falls_silent_is_replaced"],
    },
    CodeMutant {
        name: "EvictionsGoUnnoticed",
        rule: "G3",
        file: "store/redis/mod.rs",
        old: "link.news().has_moved(place, census.evicted)",
        new: "false",
        caught_by: &[
            "evictions::what_our_own_writes_evict_is_not_served_as_proven_after_it_was_set",
            "evictions::what_our_own_writes_evict_is_not_served_as_proven_after_its_removal",
        ],
    },
    CodeMutant {
        name: "FullTableGoesUnnoticed",
        rule: "G3",
        file: "store/redis/mod.rs",
        old: "|| census.fills(table);",
        new: "|| census.fills(table) && false;",
        caught_by: &["evictions::a_table_of_tracked_keys_that_is_nearly_full_is_noticed"],
    },
];

//! What any etcd must do, as functions over a client: run unchanged against every server there is.
//!
//! Each function panics when the server (or the client) misbehaves. Each works below a random key
//! prefix, so one server serves all, one after the other; at the same time only
//! where a function does not look at the store's revision.

mod auth;
mod compact;
mod delete;
mod errors;
mod keys;
mod kv;
mod lease;
mod maintenance;
mod range;
mod runner;
mod scan;
mod service;
mod services;
mod txn;
mod watch;

pub use runner::{Case, CaseFailed, run};

/// The cases that must not run on a cluster of several real members, because etcd itself fails them.
pub const FOR_ONE_MEMBER: &[&str] = &["txn::a_failing_read_undoes_all"];

/// Makes the list of a battery over a client from its themes and functions.
macro_rules! cases {
    (over $client:ty; $($theme:ident: $($name:ident)*;)*) => {
        /// Every function of the battery.
        pub const CASES: &[$crate::conformance::Case<$client>] = &[$($(
            $crate::conformance::Case {
                name: concat!(stringify!($theme), "::", stringify!($name)),
                run: |client| Box::pin(async move { $theme::$name(&client).await }),
            },
        )*)*];
    };
}

pub(crate) use cases;

cases! {
    over etcdkit::Client;
    kv:
        a_put_can_be_read
        a_missing_key_is_none
        versions_and_revisions_count
        a_deleted_key_starts_anew
        the_previous_pair_is_returned
        keys_and_values_are_bytes
        an_empty_value_is_a_value
        values_arrive_whole
        old_revisions_can_be_read
        the_value_can_be_kept
        what_is_kept_must_exist
        what_is_kept_cannot_be_given
        an_unknown_lease_is_refused
        concurrent_puts_take_turns
        headers_identify_the_server;
    range:
        the_end_is_excluded
        rust_ranges_are_key_ranges
        a_prefix_finds_only_its_keys
        a_prefix_may_end_in_the_last_byte
        an_open_range_has_no_end
        a_limit_cuts_and_says_so
        count_only_counts_everything
        keys_only_leaves_values_out
        an_old_revision_shows_what_was
        revision_bounds_filter_but_do_not_count
        every_sort_target_works
        sorting_comes_before_the_limit
        a_serializable_read_answers
        an_empty_range_is_no_error;
    scan:
        every_pair_is_read_in_order
        one_revision_is_read
        options_hold_for_every_page
        small_ranges_end
        wrong_scans_fail_once
        a_compaction_cannot_falsify;
    delete:
        deleting_nothing_changes_nothing
        one_key_goes
        a_range_goes_at_one_revision
        neighbours_of_a_prefix_stay
        an_open_range_is_deleted
        the_past_stays_readable;
    txn:
        conditions_choose_the_branch
        an_empty_transaction_succeeds
        a_transaction_that_reads_changes_nothing
        every_comparison_is_right
        a_missing_key_compares_as_zero
        the_value_of_a_missing_key_compares_never
        all_keys_of_a_range_must_match
        one_false_condition_decides
        compare_and_swap_by_revision
        operations_see_earlier_ones
        writes_share_one_revision
        every_option_works_inside
        transactions_nest
        nested_conditions_see_the_state_before
        nesting_may_be_deep
        a_key_changes_once_in_a_branch
        operations_are_limited
        a_failing_operation_undoes_all
        a_failing_read_undoes_all
        the_other_branch_need_not_be_possible;
    compact:
        older_revisions_are_gone
        revisions_compact_once
        the_future_cannot_be_compacted
        compaction_keeps_the_revision
        compaction_keeps_what_lives;
    watch:
        only_what_comes_after_the_opening_is_shown
        the_past_is_shown_from_a_revision_on
        the_future_is_waited_for
        keys_and_ranges_are_told_from_their_neighbours
        events_tell_creations_changes_and_deletions
        the_pair_before_comes_only_if_asked_for
        filters_leave_out_what_they_name
        the_changes_of_a_transaction_come_together
        an_update_larger_than_a_message_comes_whole
        a_long_history_comes_in_order
        many_watches_of_one_key_see_the_same
        a_watch_that_ends_disturbs_no_other
        what_is_kept_is_shown
        what_changes_nothing_is_not_shown
        the_keys_of_a_lease_go_together
        a_compacted_start_ends_with_the_oldest_revision
        a_compaction_ends_no_watch_that_is_ahead_of_it
        impossible_watches_are_refused
        a_list_and_its_watch_fit_together;
    lease:
        a_lease_lives_as_long_as_granted
        ids_can_be_chosen_once
        times_to_live_have_limits
        keys_go_with_their_lease
        a_lease_without_keys_ends_without_a_revision
        a_missing_lease_is_missed
        a_key_belongs_to_the_lease_of_its_last_put
        the_list_has_those_that_live
        a_renewal_starts_the_time_anew
        keys_go_when_their_lease_runs_out
        a_held_lease_outlives_its_time
        a_dropped_lease_takes_its_keys_along
        a_lease_that_others_end_is_lost;
    services:
        one_lease_at_a_time_has_a_lock
        a_lock_goes_with_its_lease
        who_gives_up_leaves_the_queue
        leaders_win_proclaim_and_resign
        a_candidate_may_change_its_mind;
    auth:
        nobody_has_to_log_in_at_first
        nothing_is_switched_on_without_root
        users_come_and_go
        users_have_the_roles_that_they_are_granted
        roles_have_the_permissions_that_they_are_granted;
    service:
        a_lock_is_held_by_one_at_a_time
        one_candidate_leads_at_a_time;
    errors:
        empty_keys_are_refused
        reversed_ranges_are_refused
        negative_numbers_are_refused
        the_future_cannot_be_read
        large_requests_are_refused
        errors_tell_their_story;
    maintenance:
        the_member_list_has_the_server
        status_fits_the_store
        hashes_follow_the_history
        hashes_of_what_is_not_there_are_refused
        no_alarm_is_raised_by_itself
        defragmenting_changes_nothing
        only_a_member_can_lead
        members_that_are_not_there_cannot_be_changed
        impossible_downgrades_are_refused
        a_snapshot_holds_what_is_stored;
}

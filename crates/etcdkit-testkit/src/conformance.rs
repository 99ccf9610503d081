//! What any etcd must do, as functions over a client: run unchanged against every server there is.
//!
//! Each function panics when the server (or the client) misbehaves. Each works below a random key
//! prefix, so one server serves all, one after the other; at the same time only
//! where a function does not look at the store's revision.

mod compact;
mod delete;
mod errors;
mod keys;
mod kv;
mod maintenance;
mod range;
mod runner;
mod scan;
mod txn;

pub use runner::{Case, CaseFailed, run};

/// The cases that must not run on a cluster of several real members, because etcd itself fails them.
pub const FOR_ONE_MEMBER: &[&str] = &["txn::a_failing_read_undoes_all"];

macro_rules! cases {
    ($($theme:ident: $($name:ident)*;)*) => {
        /// Every function of the battery.
        pub const CASES: &[Case] = &[$($(
            Case {
                name: concat!(stringify!($theme), "::", stringify!($name)),
                run: |client| Box::pin(async move { $theme::$name(&client).await }),
            },
        )*)*];
    };
}

cases! {
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
        hashes_follow_the_history;
}

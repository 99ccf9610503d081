//! What any etcd with the v2 API must do, as functions over a client: run unchanged against every server
//! that there is.
//!
//! Each function panics when the server (or the client) misbehaves. Each works in a random directory of its
//! own, so one server serves all, one after the other.

mod auth;
mod conditions;
mod directories;
mod errors;
mod in_order;
mod keys;
mod leader;
mod lock;
mod room;
mod services;
mod ttl;
mod watch;

use crate::conformance::cases;

/// The cases that etcd 3.5 itself fails, which cannot update a directory.
pub const NOT_FOR_3_5: &[&str] = &["ttl::a_directory_can_be_refreshed"];

cases! {
    over etcdkit::v2::Client;
    keys:
        what_is_set_can_be_read
        a_missing_key_is_none
        setting_replaces
        a_key_is_created_once
        an_update_needs_a_key
        updating_keeps_the_creation
        a_deleted_key_is_gone
        the_value_may_be_left_out
        values_arrive_as_they_were_sent
        names_are_cleaned_and_escaped
        indexes_grow_together
        large_values_arrive_whole
        concurrent_writes_take_turns;
    directories:
        parents_are_made
        a_listing_is_one_level_deep
        a_tree_has_every_level
        listings_are_sorted_on_request
        hidden_names_are_not_listed
        only_an_empty_directory_goes_by_itself
        everything_goes_recursively
        a_file_is_no_directory
        the_root_stays;
    conditions:
        a_value_is_compared
        an_index_is_compared
        both_must_hold
        only_one_of_many_swaps
        a_delete_can_be_guarded
        impossible_conditions_are_not_sent;
    in_order:
        keys_come_in_the_order_of_their_creation
        directories_can_be_in_order
        the_root_takes_them_too;
    ttl:
        a_key_goes_when_its_time_is_over
        a_directory_goes_with_all_in_it
        a_refresh_keeps_the_value_and_tells_nobody
        a_directory_can_be_refreshed
        a_time_to_live_can_be_dropped
        an_update_without_a_time_removes_it;
    watch:
        the_next_change_is_told
        the_past_is_told_from_an_index_on
        neighbours_are_not_told
        a_directory_is_watched_recursively
        a_removed_directory_is_told_below
        hidden_keys_are_told_to_those_who_ask
        a_stream_tells_every_change_once
        an_end_can_be_waited_for
        a_cleared_history_is_told_by_what_there_is;
    lock:
        one_at_a_time_has_it
        fencing_indexes_grow
        waiting_has_an_end
        who_gives_up_leaves_the_queue
        a_lock_that_others_remove_is_lost
        contenders_take_turns;
    leader:
        one_candidate_leads
        observers_see_each_leader
        a_leader_can_be_set_and_deleted;
    errors:
        what_is_wrong_is_said
        errors_tell_their_story
        wrong_requests_are_not_sent;
    services:
        the_member_list_has_the_server
        members_that_are_not_there_cannot_be_removed
        statistics_count
        the_version_and_health_are_told;
    auth:
        nobody_has_to_say_who_he_is_at_first
        users_and_roles_come_and_go;
}

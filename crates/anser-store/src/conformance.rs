//! The contract as a suite that every store passes: what `anser_core::store` says, asked from outside. A case panics
//! with what it found; each is given an empty store. What needs a crash or a second opening is the stores' own test.

mod acknowledging;
mod appending;
mod claiming;
mod configuring;
mod diverting;
mod fixture;
mod journaling;
mod keeping;
mod leasing;
mod linking;
mod listing;
mod naming;
mod retaining;
mod rewinding;
mod settling;

use anser_core::store::SharedStore;

/// Runs every case, each on a store of its own.
///
/// # Panics
/// When the store does not keep the contract.
pub async fn run_all(mut make: impl FnMut() -> SharedStore) {
    appending::repeats_store_nothing(&*make()).await;
    appending::dedupe_tells_repeats_from_others(&*make()).await;
    appending::an_atomic_batch_is_all_or_nothing(&*make()).await;
    appending::numbers_rise_and_rows_read_back(&*make()).await;
    appending::too_many_deliveries_are_refused(&*make()).await;
    appending::replays_are_added_behind(&*make()).await;
    settling::lanes_go_one_at_a_time(&*make()).await;
    settling::a_lane_goes_on_whatever_ends_its_head(&*make()).await;
    settling::scheduled_ones_join_when_due(&*make()).await;
    settling::stale_tokens_are_fenced(&*make()).await;
    settling::retries_and_pauses_are_kept(&*make()).await;
    settling::reopening_runs_outside_the_order(&*make()).await;
    settling::attempts_are_logged_in_order(&*make()).await;
    settling::a_group_is_cancelled_in_steps(&*make()).await;
    claiming::claims_are_bounded_and_tell_what_is_left(&*make()).await;
    claiming::classes_are_claimed_apart(&*make()).await;
    claiming::groups_tell_their_earliest_time(&*make()).await;
    claiming::many_behind_a_blocked_key_are_not_claimed(&*make()).await;
    leasing::a_lease_keeps_others_out(&*make()).await;
    leasing::what_was_due_first_is_leased_first(&*make()).await;
    leasing::a_lease_tells_what_is_left(&*make()).await;
    leasing::spent_ones_are_told_and_stay(&*make()).await;
    leasing::an_ordered_queue_gives_out_heads_only(&*make()).await;
    leasing::a_delayed_one_joins_its_lane_when_it_is_due(&*make()).await;
    leasing::many_delayed_ones_of_a_lane_are_moved_in_steps(&*make()).await;
    leasing::a_lease_for_no_time_gives_nothing_twice(&*make()).await;
    acknowledging::what_is_acknowledged_is_gone(&*make()).await;
    acknowledging::a_receipt_holds_as_long_as_its_lease(&*make()).await;
    acknowledging::what_is_given_back_is_due_again(&*make()).await;
    acknowledging::a_lease_can_be_prolonged_and_cut(&*make()).await;
    acknowledging::counts_follow_every_change(&*make()).await;
    diverting::a_diverted_one_goes_on_elsewhere(&*make()).await;
    diverting::a_stale_token_diverts_nothing(&*make()).await;
    diverting::lanes_go_on_when_their_head_is_diverted(&*make()).await;
    rewinding::acknowledged_ones_are_received_again_in_order(&*make()).await;
    rewinding::only_the_window_is_rewound(&*make()).await;
    rewinding::a_rewind_goes_in_steps(&*make()).await;
    listing::messages_are_listed_by_topic_and_time(&*make()).await;
    listing::deliveries_are_listed_with_cursors(&*make()).await;
    listing::depths_follow_every_change(&*make()).await;
    configuring::revisions_guard_documents(&*make()).await;
    configuring::changes_apply_all_or_none(&*make()).await;
    retaining::only_finished_messages_go(&*make()).await;
    retaining::steps_are_bounded_and_come_to_an_end(&*make()).await;
    retaining::a_message_goes_at_its_own_time(&*make()).await;
    retaining::attempts_and_dedupe_records_go_too(&*make()).await;
    keeping::a_blob_is_usable_from_its_put_to_its_doom(&*make()).await;
    keeping::only_the_doomed_are_removed(&*make()).await;
    keeping::blobs_are_doomed_and_told_in_steps(&*make()).await;
    keeping::messages_keep_their_blobs(&*make()).await;
    keeping::no_message_is_stored_without_its_blobs(&*make()).await;
    linking::a_message_knows_what_is_about_it(&*make()).await;
    naming::a_message_is_known_by_its_names(&*make()).await;
    naming::a_name_comes_with_the_settlement(&*make()).await;
    journaling::a_journal_keeps_its_newest_entries(&*make()).await;
    journaling::a_journal_goes_with_its_channel(&*make()).await;
    configuring::nothing_works_after_the_close(&*make()).await;
}

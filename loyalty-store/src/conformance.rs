//! Conformance tests for implementations of [`Store`].
//!
//! A [`Case`] receives an empty store and panics if the store breaks the contract. Cases
//! cover atomicity, idempotency, isolation of shops, order of requests and concurrency.
//! [`check_store`] runs a case, verifies the store, opens it again and compares the
//! contents.
//!
//! # Example: tests for another implementation
//! ```
//! # mod tests {
//! use std::sync::Arc;
//!
//! use loyalty_store::conformance::{Case, check_store};
//! # use loyalty_store::MemoryStore as MyStore;
//!
//! fn my_store(case: Case) {
//!     let data = Arc::new(MyStore::default()); // for a durable store: a file or directory
//!     check_store(|| Arc::clone(&data), case); // opens the store twice
//! }
//! loyalty_store::conformance!(my_store: crate::tests::my_store);
//! # pub fn run() { my_store(loyalty_store::conformance::points::points_are_added_and_subtracted) }
//! # }
//! # tests::run();
//! ```
#![allow(
    missing_docs,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::wildcard_imports,
    reason = "a case is a test: its name is its contract, and it panics if that is broken"
)]

pub mod administration;
pub mod catalogue;
pub mod contents;
pub mod customers;
pub mod days;
pub mod deliveries;
pub mod discounts;
pub mod erasure;
pub mod gifts;
pub mod idempotency;
pub mod imports;
pub mod listed;
pub mod lists;
pub mod orders;
pub mod points;
pub mod races;
pub mod reading;
pub mod redemptions;
pub mod searches;
pub mod shops;
pub mod test_shop;
pub mod time;

use std::ops::Deref;

use crate::Store;
use contents::StoreContents;

pub use contents::assert_consistent;

/// A conformance test. It panics if the store breaks the contract.
pub type Case = fn(&dyn Store);

/// Opens a store, runs a case and verifies the store. Then drops the store, opens it
/// again and compares its contents.
///
/// # Panics
/// If the case fails, the verification finds a difference, or the contents differ.
pub fn check_store<S: Deref<Target: Store + Sized>>(open: impl Fn() -> S, case: Case) {
    let store = open();
    case(&*store);
    assert_consistent(&*store);
    let before = StoreContents::read(&*store);

    drop(store);
    let store = open();
    assert_eq!(StoreContents::read(&*store), before, "after it was opened again");
    assert_consistent(&*store);
}

/// Creates a module with a test for each case. Each test calls the given function with
/// its case: see [`conformance`](mod@crate::conformance).
#[macro_export]
macro_rules! conformance {
    ($store:ident: $run:path) => {
        $crate::conformance! { @ $store: $run;
            customers:
                existence_decides_who_is_created
                emails_ignore_case
                a_taken_email_is_rejected_or_ignored
                a_guest_is_known_by_email
                a_guest_becomes_the_customer_with_the_email
                a_guest_is_merged_into_a_known_customer
                a_merge_moves_the_debt_of_a_guest
                a_guest_is_merged_by_a_change_of_email
                a_rejected_merge_leaves_the_guest
                the_program_says_who_claims_a_guest
                an_order_takes_no_guests_points
                a_claim_is_undone
                a_spent_claim_stays
                two_customers_are_merged
                a_profile_is_changed_kept_and_cleared
                the_revision_ignores_unchanged_values
                a_change_of_a_stale_customer_is_rejected;
            points:
                points_are_added_and_subtracted
                setting_a_balance_posts_the_difference
                a_tier_is_set_by_hand_until_an_instant
                all_commands_or_none
                points_expire_before_a_catch_up
                the_clock_of_an_account_is_monotonic
                a_balance_stays_in_range;
            orders:
                an_order_earns_once
                a_refund_before_its_order_counts_later
                a_cancellation_before_its_order_counts_later
                an_order_without_a_customer_is_bound_later
                facts_of_a_known_order_need_no_customer
                an_order_of_another_customer_is_rejected
                a_plugins_order_stays_with_its_first_customer
                an_email_conflict_does_not_reject_an_order
                an_order_stays_under_the_program_of_its_first_award
                a_refund_after_spending_makes_debt;
            idempotency:
                the_first_response_is_replayed
                a_rejection_is_stored_too
                a_key_belongs_to_one_request
                a_key_belongs_to_one_shop
                a_response_is_replayed_for_thirty_days
                the_first_response_can_be_read
                a_lost_response_can_be_retried;
            imports:
                an_import_creates_customers_with_lots
                each_row_of_an_import_counts_once
                a_refused_row_changes_nothing_but_the_report
                a_row_is_tried_without_effect
                the_mode_decides_over_points_that_are_there
                an_import_is_undone_by_what_is_left
                a_reset_is_undone_with_what_it_took
                imported_lots_stay_apart_through_a_merge
                an_import_belongs_to_one_shop;
            days:
                days_are_those_of_the_shops_zone
                what_is_recorded_late_counts_for_its_day
                a_period_may_begin_and_end_within_a_day
                sums_belong_to_one_shop;
            lists:
                orders_are_listed_by_their_last_change
                orders_of_one_instant_are_listed_once
                a_customers_orders_come_with_those_of_a_guest
                redemptions_are_listed_by_status
                lists_belong_to_one_shop;
            reading:
                the_account_journal_is_read_in_pages
                a_position_of_another_account_gives_no_rows
                an_account_is_folded_up_to_an_instant
                customers_are_listed_in_pages
                customers_are_found_and_counted;
            discounts:
                a_rule_is_created_changed_listed_and_deleted
                replacing_a_rule_needs_its_etag
                concurrent_changes_of_a_rule_are_all_applied
                a_rule_is_checked_with_the_catalogue_before_it
                the_emails_of_a_rule_stay_out_of_the_journal
                a_code_is_unique_in_a_shop
                codes_are_renamed_switched_and_removed
                a_batch_reports_each_code
                an_order_uses_its_codes_once
                a_use_stays_with_its_code
                a_cancelled_order_returns_its_uses
                an_edited_order_uses_its_current_codes
                an_order_is_not_rejected_for_its_codes
                once_per_customer_counts_uses_as_a_guest
                a_checkout_reserves_a_use_until_its_end
                a_checkout_becomes_an_order
                codes_are_reserved_together_or_not_at_all
                a_guest_keeps_the_reservation_when_they_log_in
                an_automatic_rule_needs_no_code
                a_cart_is_evaluated_with_stored_facts
                a_saved_search_makes_customers_eligible
                nothing_grows_with_use
                rules_and_codes_belong_to_one_shop
                a_rejected_discount_action_changes_nothing;
            redemptions:
                a_store_publishes_a_code_and_withdraws_it
                a_redemption_spends_points_and_issues_a_code
                a_cancelled_redemption_returns_points_and_disables_its_code
                a_cancelled_order_returns_its_redemption
                a_cancelled_order_returns_points_if_configured
                a_cancelled_order_returns_what_the_shop_said_it_used
                refunds_of_an_order_return_points_if_configured
                a_redemption_expires_without_a_command
                a_reward_without_a_code_is_marked_used
                redemptions_are_read_in_pages_through_a_merge
                redemptions_belong_to_one_shop
                deleting_a_rule_does_not_lose_points;
            erasure:
                nothing_names_an_erased_customer
                late_reports_bring_nobody_back
                an_erased_account_takes_part_in_nothing
                a_guest_is_erased
                merged_customers_are_erased_as_one
                erasures_race_with_orders
                an_erasure_can_be_tried;
            gifts:
                one_order_can_give_several_gifts_each_with_a_code
                a_gift_is_taken_back_with_its_cause_and_its_code
                scheduled_gifts_are_issued_once_by_whoever_comes_first;
            searches:
                terms_are_combined
                values_are_compared
                an_id_or_an_email_finds_its_customer
                unsupported_searches_are_rejected;
            catalogue:
                products_are_stored_as_reported
                a_number_is_assigned_once
                products_are_listed_by_number
                categories_are_put_listed_and_deleted
                saved_searches_have_unique_names
                unknown_records_cannot_be_deleted
                a_catalogue_change_is_idempotent;
            time:
                a_birthday_bonus_is_granted_once
                results_do_not_depend_on_the_scheduler
                publishing_a_program_reschedules_accounts
                a_changed_birthday_or_tag_is_not_retroactive
                past_and_future_states_are_read
                a_friend_is_rewarded_in_the_same_transaction
                a_code_is_claimed_once
                a_known_customer_does_not_sign_up
                a_dry_run_changes_nothing;
            shops:
                publishing_checks_the_replaced_version
                an_equal_program_is_no_new_version
                versions_are_limited_in_a_day
                a_version_that_keeps_the_schedule_reschedules_nothing
                a_scheduled_award_names_the_version_in_force
                accounts_not_rescheduled_yet_are_right
                an_integration_is_recorded
                one_shop_does_not_see_another;
            administration:
                many_keys_are_valid_at_once
                a_key_is_revoked_in_its_shop_only
                a_key_ends
                a_rotated_key_lives_for_a_time
                a_key_gives_no_scope_that_it_lacks
                a_revoked_key_changes_no_keys
                the_last_admin_key_is_revoked_on_purpose
                the_number_of_keys_is_bounded
                the_operators_keys_are_of_no_shop
                uses_of_keys_are_written_behind
                a_signing_secret_is_not_a_keys
                an_administrative_response_is_replayed;
            deliveries:
                a_destination_is_made_changed_and_deleted
                the_secrets_of_a_destination_rotate
                the_number_of_endpoints_is_bounded
                a_note_moves_a_destination_on
                a_note_overwrites_no_change
                an_event_is_sent_again
                a_range_is_recovered
                what_is_given_up_is_kept_for_a_time
                erasure_clears_what_receivers_have_said;
            races:
                points_are_spent_once
                a_code_with_one_use_left_is_used_by_one_order
                a_code_with_one_use_left_is_reserved_by_one_checkout
                points_buy_one_reward
                a_text_is_added_as_one_code
                the_same_key_has_one_effect
                readers_see_committed_transactions_only
                a_guest_stays_readable_during_a_merge
                guests_are_merged_while_they_order;
        }
    };
    (@ $store:ident: $run:path; $($topic:ident: $($case:ident)*;)*) => {
        mod $store { $( mod $topic { $(
            #[test]
            fn $case() {
                $run($crate::conformance::$topic::$case);
            }
        )* } )* }
    };
}

//! The promises of [`Store`], as cases that any store can be held to.
//!
//! A case gets an empty store and no more, and stops where a promise is broken: that all of a request happens or
//! nothing, and once; that shops are apart and requests in order; that an answer which was lost can be asked for again;
//! and all that with many clients at once. [`hold`] runs one, insists that the books add up, and opens the store again
//! to see that it shows the same.
//!
//! # Example: a test of each case for a store of one's own
//! ```
//! # mod tests {
//! use loyalty_store::conformance::{Case, hold};
//! # use loyalty_store::MemoryStore as MyStore;
//!
//! fn my_store(case: Case) {
//!     let place = std::sync::Arc::new(MyStore::default()); // what outlives a store that is dropped
//!     hold(|| std::sync::Arc::clone(&place), case);
//! }
//! loyalty_store::conformance!(my_store: crate::tests::my_store);
//! # pub fn run() { my_store(loyalty_store::conformance::points::points_come_and_go_with_figures) }
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
    reason = "a case says in its name what is promised, and stops where it is not kept"
)]

pub mod catalogue;
pub mod customers;
pub mod test_shop;
pub mod discounts;
pub mod idempotency;
pub mod orders;
pub mod contents;
pub mod points;
pub mod races;
pub mod reading;
pub mod redemptions;
pub mod searches;
pub mod shops;
pub mod time;

use std::ops::Deref;

use crate::Store;
use contents::StoreContents;

pub use contents::assert_consistent;

/// A promise: it stops with a panic where the store does not keep it.
pub type Case = fn(&dyn Store);

/// Opens a store and holds it to a promise. Then its books must add up, and when it is dropped and opened again it must
/// show what it showed.
///
/// # Panics
/// Where anything of that is not so.
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

/// Makes a module with a test of each case, for a function that is given the case: see
/// [`conformance`](mod@crate::conformance).
#[macro_export]
macro_rules! conformance {
    ($store:ident: $run:path) => {
        $crate::conformance! { @ $store: $run;
            customers:
                presence_says_who_is_made
                emails_differ_by_more_than_case
                a_taken_email_is_refused_or_left
                a_guest_is_known_by_email
                a_guest_becomes_the_customer_who_brings_the_email
                a_guest_is_merged_into_a_known_customer
                debt_goes_with_a_merged_guest
                a_guest_is_merged_by_a_change_of_email
                a_merge_that_is_refused_leaves_the_guest
                a_profile_is_changed_kept_and_cleared
                the_revision_counts_real_changes_only
                a_change_of_what_was_not_seen_is_refused;
            points:
                points_come_and_go_with_figures
                a_balance_is_set_by_an_entry_of_the_difference
                a_tier_is_set_by_hand_until_an_instant
                all_commands_or_none
                points_end_without_anybody_writing_it_down
                the_clock_of_an_account_does_not_step_back
                a_balance_stays_in_range;
            orders:
                an_order_earns_once
                a_refund_before_its_order_counts_when_it_comes
                a_cancellation_before_its_order_counts_when_it_comes
                an_order_without_a_customer_is_bound_later
                facts_of_a_known_order_need_no_customer
                an_order_of_another_customer_is_refused
                a_plugins_order_stays_with_its_first_customer
                an_order_is_not_lost_over_an_email
                an_order_stays_under_the_program_of_its_first_award
                a_refund_after_spending_is_owed;
            idempotency:
                the_first_answer_is_given_again
                a_refusal_is_kept_too
                a_key_is_of_one_request
                a_key_is_of_one_shop
                an_answer_is_kept_for_thirty_days
                the_first_answer_can_be_asked_for
                whoever_lost_the_answer_asks_again;
            reading:
                the_ledger_is_read_in_pages
                a_position_of_another_account_leads_nowhere
                an_account_is_as_it_was_at_an_instant
                customers_are_listed_in_pages
                customers_are_found_and_counted;
            discounts:
                a_rule_is_made_changed_listed_and_deleted
                a_rule_is_replaced_by_whoever_has_seen_it
                changes_of_a_rule_go_together
                a_rule_sees_the_catalogue_of_its_moment
                the_emails_of_a_rule_stay_out_of_the_journal
                a_code_is_typed_once_in_a_shop
                codes_are_renamed_switched_and_removed
                a_batch_says_what_became_of_each_code
                an_order_uses_its_codes_once
                a_use_stays_where_it_was_settled
                a_cancelled_order_gives_its_uses_back
                an_edited_order_uses_what_it_brings_now
                an_order_is_not_refused_for_its_codes
                once_per_customer_holds_for_a_guest_who_becomes_a_customer
                a_checkout_holds_a_use_until_its_end
                a_checkout_becomes_an_order
                codes_are_reserved_together_or_not_at_all
                a_guest_keeps_the_reservation_when_they_log_in
                a_cart_is_evaluated_with_all_that_is_known
                a_rule_is_for_whom_a_saved_search_finds
                nothing_grows_with_use
                rules_and_codes_of_one_shop_are_not_anothers
                a_refused_discount_leaves_no_trace;
            redemptions:
                a_redemption_takes_points_and_gives_a_code
                a_cancelled_redemption_gives_its_points_back_and_its_code_up
                an_order_uses_a_redemption_and_its_cancellation_gives_it_back
                a_cancelled_order_gives_points_where_the_program_says_so
                a_redemption_ends_by_itself
                what_has_no_code_is_handed_over
                redemptions_are_read_in_pages_through_a_merge
                redemptions_of_one_shop_are_not_anothers
                what_the_shop_does_with_a_code_does_not_lose_points;
            searches:
                terms_are_put_together
                values_are_compared
                an_id_or_an_email_leads_to_its_customer
                what_cannot_be_searched_is_refused_by_name;
            catalogue:
                products_are_put_and_kept_as_told
                a_number_is_given_once
                products_are_listed_by_number
                categories_are_put_listed_and_forgotten
                searches_are_saved_under_names_of_their_own
                what_is_not_there_cannot_be_forgotten
                a_change_of_the_catalogue_happens_once;
            time:
                a_birthday_is_given_once_whoever_looks
                on_time_late_or_never_is_the_same
                a_publication_moves_what_is_due
                a_changed_birthday_or_tag_reaches_no_further_back
                what_was_and_what_will_be
                a_friend_is_rewarded_in_the_same_transaction
                a_name_is_claimed_once
                who_is_known_does_not_sign_up
                what_is_only_tried_changes_nothing;
            shops:
                a_program_replaces_the_one_that_was_seen
                two_keys_are_alive
                a_plugin_says_where_it_was_installed
                one_shop_does_not_see_another;
            races:
                points_are_spent_once
                a_code_with_one_use_left_is_used_by_one_order
                a_code_with_one_use_left_is_reserved_by_one_checkout
                points_buy_one_reward
                a_text_becomes_one_code
                the_same_keys_have_one_effect
                readers_see_all_of_what_is_committed_and_nothing_else
                a_guest_is_never_out_of_sight
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

//! How much work a request is to decide, estimated from its form.

use loyalty_core::{Command, OrderId};

use crate::catalogue::CatalogueAction;
use crate::record::OrderRecord;
use crate::request::Action;

/// The estimated work of an action, in looks of a rule at a line or alike: a few hundred nanoseconds
/// each. Zero for what takes microseconds, whatever it contains. `None` for what must be decided
/// with its place in the journal, which its records or its response contain.
pub(super) fn estimate_work(
    action: &Action,
    rules: usize,
    stored_order: impl FnOnce(&OrderId) -> Option<std::sync::Arc<OrderRecord>>,
) -> Option<usize> {
    match action {
        Action::Order { command, .. } => {
            let stored = command.order().and_then(stored_order);
            Some(order_work(command, rules, stored.as_deref()))
        }
        Action::Catalogue(action) => Some(match action {
            CatalogueAction::PutProducts(products) => products.len(),
            CatalogueAction::PutCategories(categories) => categories.len(),
            CatalogueAction::DeleteProduct(_)
            | CatalogueAction::DeleteCategory(_)
            | CatalogueAction::SaveSearch { .. }
            | CatalogueAction::DeleteSearch(_) => 0,
        }),
        Action::PublishProgram { .. } | Action::RescheduleDue { .. } => Some(usize::MAX),
        Action::CatchUp(_) => Some(0),
        Action::Customer { .. }
        | Action::Discount(_)
        | Action::Redemption(_)
        | Action::Import(..)
        | Action::JoinReferral { .. }
        | Action::EraseCustomer { .. }
        | Action::ContinueErasure(_)
        | Action::MergeCustomers { .. }
        | Action::UndoClaim { .. } => None,
    }
}

/// All lines of an order are looked at again for each command, and each refund of each line.
fn order_work(command: &Command, rules: usize, stored: Option<&OrderRecord>) -> usize {
    let reported =
        if let Command::RecordOrder { snapshot, .. } = command { Some(&**snapshot) } else { None };
    let order = reported.or_else(|| Some(&*stored?.state.snapshot()?.order));
    let lines = order.map_or(0, |order| {
        let looks = order.lines.iter().map(|line| line.categories.len().saturating_add(1));
        looks.fold(0_usize, usize::saturating_add)
    });

    let refunds = stored.map_or(0, |stored| stored.state.refunds().len());
    let rules = rules.saturating_div(16).saturating_add(1);
    lines.saturating_mul(rules).saturating_mul(refunds.saturating_add(1))
}

//! Records what a connected store has said: each fact is a transaction of its own.

use loyalty_core::{Command, Line, OrderId, Points, RefundId, ShopId, Timestamp};
use loyalty_store::{
    Action, CatalogueAction, CustomerRef, Failure, ProductRef, ProfileChange, Rejection, Reply,
    Request, Store,
};

use crate::connector::webhook::{StoreMessage, StoreOrder, refund_action};
use crate::endpoint::redemptions::draw_entropy;

/// What became of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RecordedMessage {
    /// The change of balances.
    pub(crate) points_changed: Points,
    /// The facts that the rules have refused: the same message again would change nothing.
    pub(crate) rejections: Vec<Rejection>,
    /// What somebody has to do.
    pub(crate) request: Option<StoreRequestKind>,
    /// The order whose refunds have to be fetched.
    pub(crate) order_to_fetch: Option<OrderId>,
}

/// Something in a message that is more than a fact.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StoreRequestKind {
    /// A customer asks what is known of them.
    Data,
    /// The store is no longer connected.
    Uninstall,
}

/// Where messages are recorded.
pub(crate) struct MessageRecorder<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) shop: ShopId,
    pub(crate) now: Timestamp,
}

impl MessageRecorder<'_> {
    /// Records a message.
    ///
    /// # Errors
    /// A failure of the store. What came before it stays; the message can be recorded again.
    pub(crate) fn record(&self, message: StoreMessage) -> Result<RecordedMessage, Failure> {
        let mut recorded = RecordedMessage::default();
        let actions = match message {
            StoreMessage::Order(order) => self.order_actions(*order, &mut recorded)?,
            StoreMessage::Refund(order, refund, at) => vec![refund_action(order, refund, at)],
            StoreMessage::OrderDeleted(order) => {
                let command = Command::CancelOrder { order, at: None };
                vec![Action::Order { command, customer: None, change: ProfileChange::default() }]
            }
            StoreMessage::Customer(customer) => vec![customer.into_action()],
            StoreMessage::CustomersMerged { kept, merged } => {
                let (customer, from) = (CustomerRef::Id(kept), CustomerRef::Id(merged));
                vec![Action::MergeCustomers { customer, from }]
            }
            StoreMessage::CustomerErased(id) => {
                vec![Action::EraseCustomer { customer: CustomerRef::Id(id) }]
            }
            StoreMessage::DataRequested(_) => {
                recorded.request = Some(StoreRequestKind::Data);
                Vec::new()
            }
            StoreMessage::Product { mut product, has_categories } => {
                if !has_categories {
                    let known = ProductRef::Id(product.id.clone());
                    let known = self.store.product(self.shop, &known)?;
                    product.categories = known
                        .map(|known| known.product.categories.clone())
                        .unwrap_or_default();
                }
                vec![Action::Catalogue(CatalogueAction::PutProducts(vec![*product]))]
            }
            StoreMessage::ProductDeleted(id) => {
                vec![Action::Catalogue(CatalogueAction::DeleteProduct(id))]
            }
            StoreMessage::Uninstalled => {
                recorded.request = Some(StoreRequestKind::Uninstall);
                Vec::new()
            }
            StoreMessage::Ignored => Vec::new(),
        };
        for action in actions {
            self.execute(action, &mut recorded)?;
        }
        Ok(recorded)
    }

    /// The facts of an order. Its lines get the categories of their products, which stores do
    /// not send with orders.
    fn order_actions(
        &self,
        mut order: StoreOrder,
        recorded: &mut RecordedMessage,
    ) -> Result<Vec<Action>, Failure> {
        if let Some((content, _)) = &mut order.content {
            for line in &mut content.lines {
                self.add_categories(line)?;
            }
        }
        if !order.missing_refunds.is_empty() {
            let known = self.store.order(self.shop, &order.id)?;
            let is_known = |id: &RefundId| {
                known
                    .as_ref()
                    .is_some_and(|known| known.state.refunds().contains_key(id))
            };
            if !order.missing_refunds.iter().all(is_known) {
                recorded.order_to_fetch = Some(order.id.clone());
            }
        }
        Ok(order.into_actions())
    }

    fn add_categories(&self, line: &mut Line) -> Result<(), Failure> {
        let Some(product) = line.product.clone().filter(|_| line.categories.is_empty()) else {
            return Ok(());
        };
        let known = self.store.product(self.shop, &ProductRef::Id(product))?;
        if let Some(known) = known {
            line.categories = known.product.categories.iter().cloned().collect();
        }
        Ok(())
    }

    fn execute(&self, action: Action, recorded: &mut RecordedMessage) -> Result<(), Failure> {
        // Without random bits gifts wait for a later request.
        let entropy = draw_entropy().ok();
        let request = Request { entropy, ..Request::new(self.shop, self.now, action) };
        match self.store.execute(request).wait()? {
            Reply::Decided(Ok(receipt)) => {
                let points = recorded.points_changed.saturating_add(receipt.points_changed());
                recorded.points_changed = points;
            }
            Reply::Decided(Err(rejection)) => recorded.rejections.push(rejection),
            Reply::Stored { .. } => {}
        }
        Ok(())
    }
}

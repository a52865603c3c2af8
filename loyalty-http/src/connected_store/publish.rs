//! What a store has to know about a redemption's code, after an outgoing event.
//!
//! The event says only that something has happened. What is to do follows from what is stored
//! now: a code that was cancelled before the store heard of it is never published.

use std::sync::Arc;

use loyalty_core::discount::{Code, PriceRule};
use loyalty_core::redemption::RedemptionState;
use loyalty_core::{
    CustomerId, Fault, PublicationStatus, RedemptionId, ShopId, StoreId, Timestamp,
};
use loyalty_store::{Failure, OutgoingEvent, OutgoingKind, Store};

use crate::connector::{CodePublication, Connector, PublishOutcome, StoreAnswer, StoreRequest};

/// A change of a code in a store.
#[derive(Clone, Debug)]
pub(crate) struct CodeTask {
    /// The redemption of the code.
    pub(crate) redemption: RedemptionId,
    change: CodeChange,
}

#[derive(Clone, Debug)]
enum CodeChange {
    Publish {
        code: Code,
        rule: Arc<PriceRule>,
        customer: Option<CustomerId>,
        reference: String,
    },
    /// By the store's own id of the code.
    Withdraw(String),
}

/// Where a task stands.
#[derive(Clone, Debug)]
pub(crate) enum TaskStep {
    /// The answer to this request decides.
    Ask(Box<StoreRequest>),
    /// It is over, and this is to be recorded.
    Done(PublicationStatus),
    /// Another attempt may succeed. The store's words.
    Retry(String),
}

impl CodeTask {
    /// Returns the redemption that a store may have to know about after an event.
    pub(crate) fn subject(event: &OutgoingEvent<'_>) -> Option<RedemptionId> {
        let is_about_code = matches!(
            event.kind,
            OutgoingKind::RedemptionIssued
                | OutgoingKind::RedemptionCancelled
                | OutgoingKind::RedemptionExpired
        );
        event.event.redemption().filter(|_| is_about_code)
    }

    /// Returns what a store has to know about a redemption as it is now; `None` for nothing.
    ///
    /// # Errors
    /// A failure of the engine's store.
    pub(crate) fn find(
        store: &dyn Store,
        (shop, redemption): (ShopId, RedemptionId),
        id: &StoreId,
        now: Timestamp,
    ) -> Result<Option<Self>, Failure> {
        let Some(view) = store.redemption(shop, redemption)? else {
            return Ok(None);
        };
        let known = view.redemption.publication(id).map(|known| &known.status);
        match view.redemption.state_at(now) {
            RedemptionState::Issued => {}
            RedemptionState::Used { .. } => return Ok(None),
            RedemptionState::Cancelled { .. } | RedemptionState::Expired { .. } => {
                let Some(PublicationStatus::Published { code_id: Some(code) }) = known else {
                    return Ok(None);
                };
                let change = CodeChange::Withdraw(code.to_string());
                return Ok(Some(Self { redemption, change }));
            }
        }

        if matches!(known, Some(PublicationStatus::Published { .. })) {
            return Ok(None);
        }
        let (Some((rule, _)), Some(code)) = (view.discount(), &view.redemption.issue().code) else {
            return Ok(None);
        };
        // A rule that the shop has deleted takes nothing off.
        let Some(rule) = store.price_rule(shop, rule)? else {
            return Ok(None);
        };
        let customer = store.customer_by_account(shop, view.account)?;
        let change = CodeChange::Publish {
            code: code.clone(),
            rule: Arc::clone(&rule.rule),
            customer: customer.and_then(|customer| customer.record().id.clone()),
            reference: redemption.to_string(),
        };
        Ok(Some(Self { redemption, change }))
    }

    /// Returns the first request.
    pub(crate) fn begin(&self, connector: &dyn Connector) -> TaskStep {
        match &self.change {
            CodeChange::Publish { .. } => {
                let publication = self.publication();
                match publication.map(|publication| connector.publish(&publication)) {
                    Some(Ok(request)) => TaskStep::Ask(Box::new(request)),
                    Some(Err(faults)) => TaskStep::Done(unsupported(&faults)),
                    None => TaskStep::Done(PublicationStatus::Withdrawn),
                }
            }
            CodeChange::Withdraw(id) => match connector.withdraw(id) {
                Some(request) => TaskStep::Ask(Box::new(request)),
                // It ends there by itself.
                None => TaskStep::Done(PublicationStatus::Published {
                    code_id: Some(id.as_str().into()),
                }),
            },
        }
    }

    /// Returns the requests to try in turn where the first one finds nobody.
    pub(crate) fn other_requests(&self, connector: &dyn Connector) -> Vec<StoreRequest> {
        self.publication()
            .map(|publication| connector.publish_elsewhere(&publication))
            .unwrap_or_default()
    }

    /// Reads the answer to a request. `is_check` is true for the answer to a request that
    /// another answer had asked for.
    pub(crate) fn proceed(
        &self,
        connector: &dyn Connector,
        answer: &StoreAnswer<'_>,
        is_check: bool,
    ) -> TaskStep {
        let (outcome, done): (_, fn(Option<String>) -> PublicationStatus) = match self.publication()
        {
            Some(publication) if is_check => {
                (connector.read_check(&publication, answer), published)
            }
            Some(publication) => (connector.read_publish(&publication, answer), published),
            None => (connector.read_withdraw(answer), |_| PublicationStatus::Withdrawn),
        };
        match outcome {
            PublishOutcome::Done { store_id } => TaskStep::Done(done(store_id)),
            PublishOutcome::Check(request) => TaskStep::Ask(request),
            PublishOutcome::Retry { reason } => TaskStep::Retry(self.without_customer(&reason)),
            PublishOutcome::Refused { reason } => match self.give_up(&reason) {
                Some(status) => TaskStep::Done(status),
                None => TaskStep::Retry(reason),
            },
        }
    }

    /// Returns what is recorded where the last attempt has failed; `None` for a code that could
    /// not be withdrawn. The store still has it, so it stays published, and can be withdrawn later.
    pub(crate) fn give_up(&self, reason: &str) -> Option<PublicationStatus> {
        match self.change {
            CodeChange::Publish { .. } => {
                Some(PublicationStatus::failed(&self.without_customer(reason)))
            }
            CodeChange::Withdraw(_) => None,
        }
    }

    fn publication(&self) -> Option<CodePublication<'_>> {
        let CodeChange::Publish { code, rule, customer, reference } = &self.change else {
            return None;
        };
        Some(CodePublication { code, rule, customer: customer.as_ref(), reference })
    }

    /// The store's words without the customer's id: they are kept for ever.
    fn without_customer(&self, reason: &str) -> String {
        let CodeChange::Publish { customer: Some(id), .. } = &self.change else {
            return reason.to_owned();
        };
        let is_id =
            |word: &str| word.trim_matches(|char: char| !char.is_alphanumeric()) == id.as_str();
        let words = reason
            .split_whitespace()
            .map(|word| if is_id(word) { "…" } else { word });
        words.collect::<Vec<_>>().join(" ")
    }
}

fn published(store_id: Option<String>) -> PublicationStatus {
    PublicationStatus::Published { code_id: store_id.map(Into::into) }
}

/// The status of a code that the store cannot hold.
fn unsupported(faults: &[Fault]) -> PublicationStatus {
    let details: Vec<_> = faults.iter().map(|fault| fault.detail.as_str()).collect();
    PublicationStatus::failed(&details.join("; "))
}

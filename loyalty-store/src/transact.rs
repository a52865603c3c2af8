//! Business transactions, decided completely before anything is written.
//!
//! [`transact`] reads through a [`TransactionView`] and returns a [`ChangeSet`] and a
//! reply. It uses neither SQL nor threads, so that every store decides the same. It
//! checks the idempotency key first, then finds the records, then runs the rules.

pub(crate) mod administration;
mod catalogue;
mod code_claim;
pub(crate) mod destination;
mod discount;
mod erase;
mod gift;
mod import;
mod merge;
mod redemption;
mod time;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{SubsecRound, TimeDelta};
use loyalty_core::program::EmailProof;
use loyalty_core::{
    AccountId, Command, CustomerId, Email, Event, OrderId, Origin, Program, ProgramVersion, ShopId,
    Timestamp, decide,
};

use crate::customer_ref::CustomerRef;
use crate::discount::index::IndexChange;
use crate::discount::lookup::DiscountView;
use crate::erasure::Erasure;
use crate::error::{Failure, Rejection};
use crate::import::{ImportChange, ImportView};
use crate::profile_change::{FieldChange, ProfileChange};
use crate::projections::{self, Projection, ProjectionKey};
use crate::query::CustomerView;
use crate::record::{AccountRecord, CustomerRecord, JournalRow, OrderRecord, Seq};
use crate::request::{
    Action, EmailConflict, Existence, Outcome, Receipt, Reply, Request, Response,
};
use crate::shop::Shop;
use crate::timeline::{ProgramTimeline, PublishedProgram, RuleSubject};

use gift::CodeEntropy;

pub(crate) use catalogue::{AssignedNumbers, CatalogueChange, CatalogueView};
pub(crate) use code_claim::{CodeClaim, CodeClaimView};
pub(crate) use erase::{ErasureView, Rewrites};

/// The number of versions of a program that a shop can publish in a day. Each is kept for ever, and
/// what an account has missed is decided under every one of them.
const MAX_VERSIONS_PER_DAY: usize = 300;

/// State that a transaction reads. A view can lie over another one: the changes of earlier requests
/// over the committed state.
pub(crate) trait StateView:
    CatalogueView + CodeClaimView + DiscountView + ErasureView + ImportView
{
    fn shop(&mut self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure>;
    fn program(
        &mut self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure>;
    /// Returns the versions of a shop's program with the times from which they are in
    /// force.
    fn timeline(&mut self, shop: ShopId) -> Result<Option<Arc<ProgramTimeline>>, Failure>;
    fn account(&mut self, account: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure>;
    /// Returns up to `limit` accounts of a shop's customers in the order of their ids,
    /// starting behind `after`.
    fn accounts(
        &mut self,
        shop: ShopId,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountId>, Failure>;
    fn customer(&mut self, account: AccountId) -> Result<Option<Arc<CustomerRecord>>, Failure>;
    fn account_by_id(
        &mut self,
        shop: ShopId,
        id: &CustomerId,
    ) -> Result<Option<AccountId>, Failure>;
    fn account_by_email(
        &mut self,
        shop: ShopId,
        email: &Email,
    ) -> Result<Option<AccountId>, Failure>;
    fn order(&mut self, shop: ShopId, order: &OrderId)
    -> Result<Option<Arc<OrderRecord>>, Failure>;
    fn stored_response(
        &mut self,
        shop: ShopId,
        key: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<StoredResponse>, Failure>;
}

/// The view of one transaction: everything decided before it.
pub(crate) trait TransactionView: StateView {
    /// The number of the next account, and the position of the next journal row.
    fn next_numbers(&self) -> (AccountId, Seq);
    /// Returns false if other shops' rows may come before those of this transaction, so that
    /// their positions will be others.
    fn is_place_known(&self) -> bool {
        true
    }
}

/// A response stored under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredResponse {
    pub(crate) shop: ShopId,
    pub(crate) key: [u8; 16],
    pub(crate) fingerprint: [u8; 16],
    pub(crate) at: Timestamp,
    pub(crate) response: Response,
}

impl StoredResponse {
    /// The number of days for which a response is replayed.
    pub(crate) const REPLAY_DAYS: i64 = 30;
    /// The number of days after which a response may be deleted. Longer than the replay,
    /// so that a clock that steps back still finds it.
    pub(crate) const RETENTION_DAYS: i64 = 40;

    /// Returns true if the response is replayed at `now`.
    pub(crate) fn is_replayable(&self, now: Timestamp) -> bool {
        now.signed_duration_since(self.at).num_days() < Self::REPLAY_DAYS
    }

    /// Returns the response if it is replayed at `now` to a request with this
    /// fingerprint.
    pub(crate) fn replay(&self, fingerprint: &[u8; 16], now: Timestamp) -> Option<Response> {
        (self.is_replayable(now) && self.fingerprint == *fingerprint).then(|| self.response.clone())
    }
}

/// The changes that a transaction writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangeSet {
    pub(crate) journal: Vec<Arc<JournalRow>>,
    pub(crate) accounts: Vec<(AccountId, Arc<AccountRecord>)>,
    pub(crate) orders: Vec<(OrderId, Arc<OrderRecord>)>,
    /// Created, changed and merged customers.
    pub(crate) customers: Vec<CustomerChange>,
    pub(crate) program: Option<PublishedProgram>,
    /// The timeline of programs, if it changed.
    pub(crate) timeline: Option<Arc<ProgramTimeline>>,
    /// New due times of accounts without a journal row in this transaction.
    pub(crate) due_changes: Vec<(AccountId, Option<Timestamp>)>,
    /// Codes claimed for accounts.
    pub(crate) claims: Vec<(CodeClaim, AccountId)>,
    pub(crate) projections: Vec<(ProjectionKey, Arc<Projection>)>,
    pub(crate) index_changes: Vec<IndexChange>,
    pub(crate) catalogue_changes: Vec<CatalogueChange>,
    pub(crate) assigned_numbers: AssignedNumbers,
    /// Begun, changed and completed erasures.
    pub(crate) erasures: Vec<Arc<Erasure>>,
    pub(crate) rewrites: Rewrites,
    pub(crate) import: Option<ImportChange>,
    pub(crate) stored_response: Option<StoredResponse>,
}

impl ChangeSet {
    /// Returns `true` if there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            journal,
            accounts,
            orders,
            customers,
            program,
            timeline,
            due_changes,
            claims,
            projections,
            index_changes,
            catalogue_changes,
            assigned_numbers: _,
            erasures,
            rewrites,
            import,
            stored_response,
        } = self;
        journal.is_empty()
            && accounts.is_empty()
            && orders.is_empty()
            && customers.is_empty()
            && program.is_none()
            && timeline.is_none()
            && due_changes.is_empty()
            && claims.is_empty()
            && projections.is_empty()
            && index_changes.is_empty()
            && catalogue_changes.is_empty()
            && erasures.is_empty()
            && rewrites.is_empty()
            && import.is_none()
            && stored_response.is_none()
    }
}

/// A customer's record before and after a transaction. `before` is `None` for a new
/// customer, `after` for one that was merged into another, or erased.
#[derive(Clone, Debug)]
pub(crate) struct CustomerChange {
    pub(crate) before: Option<Arc<CustomerRecord>>,
    pub(crate) after: Option<Arc<CustomerRecord>>,
}

/// Decides one request. Returns the changes to write and the reply to send after that.
pub(crate) fn transact(
    view: &mut impl TransactionView,
    request: Request,
) -> Result<(ChangeSet, Reply), Failure> {
    let decided = try_transact(view, request)?;
    decided.map_err(|_| Failure::Corrupt("the place in the journal is not known".to_owned()))
}

/// Decides one request where its place in the journal may not be known. Returns the request
/// again, with nothing changed, if the decision contains its place.
pub(crate) fn try_transact(
    view: &mut impl TransactionView,
    request: Request,
) -> Result<Result<(ChangeSet, Reply), Request>, Failure> {
    let Request { shop, dry_run, idempotency, entropy, action, .. } = request;
    // Stores keep microseconds: a state must be the same before and after it is written.
    let now = request.now.trunc_subsecs(6);

    if let Some(idempotency) = idempotency.as_ref().filter(|_| !dry_run)
        && let Some(stored) = view.stored_response(shop, &idempotency.key, now)?
    {
        let reply = if stored.fingerprint == idempotency.fingerprint {
            Reply::Stored { response: stored.response, replayed: true }
        } else {
            Reply::Decided(Err(Rejection::IdempotencyKeyReused))
        };
        return Ok(Ok((ChangeSet::default(), reply)));
    }

    let again = (!view.is_place_known()).then(|| action.clone());
    let Some((mut changes, mut outcome)) = run_action(view, shop, now, entropy, action)? else {
        let action = again.ok_or_else(|| Failure::Corrupt("a decision has no end".to_owned()))?;
        return Ok(Err(Request { shop, now, dry_run, idempotency, entropy, action }));
    };

    if dry_run {
        return Ok(Ok((ChangeSet::default(), Reply::Decided(outcome))));
    }
    let Some(idempotency) = idempotency else {
        return Ok(Ok((changes, Reply::Decided(outcome))));
    };

    // The response is stored with the effect, and for a rejection without one.
    if let Ok(receipt) = &mut outcome
        && !view.is_place_known()
    {
        receipt.seq = None;
    }
    if outcome
        .as_ref()
        .is_err_and(|rejection| rejection.retry_after().is_some())
    {
        return Ok(Ok((changes, Reply::Decided(outcome))));
    }
    let response = (idempotency.render)(&outcome);
    let (key, fingerprint) = (idempotency.key, idempotency.fingerprint);
    changes.stored_response =
        Some(StoredResponse { shop, key, fingerprint, at: now, response: response.clone() });

    Ok(Ok((changes, Reply::Stored { response, replayed: false })))
}

/// How a request treats an e-mail: that of another customer, and that of a guest.
type EmailPolicy = (EmailConflict, EmailProof);

/// The policy of requests that report an e-mail as somebody typed it, and must not be lost
/// over it.
const TYPED: EmailPolicy = (EmailConflict::Ignore, EmailProof::Typed);

/// The reason why a transaction stops.
enum TransactionError {
    Rejected(Rejection),
    Failed(Failure),
}

impl From<Rejection> for TransactionError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<loyalty_core::Rejection> for TransactionError {
    fn from(rejection: loyalty_core::Rejection) -> Self {
        Self::Rejected(rejection.into())
    }
}

impl From<Failure> for TransactionError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Runs an action. A rejection discards all changes. `None` if it needs to know its place in the
/// journal.
fn run_action(
    view: &mut impl TransactionView,
    shop: ShopId,
    now: Timestamp,
    entropy: Option<[u8; 32]>,
    action: Action,
) -> Result<Option<(ChangeSet, Outcome)>, Failure> {
    let shop = view
        .shop(shop)?
        .ok_or_else(|| Failure::Corrupt(format!("shop {shop} does not exist")))?;
    let mut transaction = Transaction {
        view,
        shop,
        now,
        changes: ChangeSet::default(),
        events: Vec::new(),
        to_reschedule: Vec::new(),
        unclaimed_guest: None,
        gift_codes: entropy.map(CodeEntropy::new),
        needs_place: false,
    };

    match transaction.perform(action) {
        _ if transaction.needs_place => Ok(None),
        Ok(receipt) => Ok(Some((transaction.changes, Ok(receipt)))),
        Err(TransactionError::Rejected(rejection)) => {
            Ok(Some((ChangeSet::default(), Err(rejection))))
        }
        Err(TransactionError::Failed(failure)) => Err(failure),
    }
}

/// A transaction in progress: its view, and the changes so far.
struct Transaction<'v, V> {
    view: &'v mut V,
    shop: Arc<Shop>,
    now: Timestamp,
    changes: ChangeSet,
    events: Vec<Event>,
    /// Accounts whose due time must be recomputed.
    to_reschedule: Vec<AccountId>,
    /// The guest whose e-mail the request names without a claim.
    unclaimed_guest: Option<AccountId>,
    /// What the codes of gifts are made of.
    gift_codes: Option<CodeEntropy>,
    /// A gift needs a number, which is a place in the journal that is not known.
    needs_place: bool,
}

/// A customer who was found or created.
struct ResolvedCustomer {
    account: AccountId,
    created: bool,
    /// True if this request created the customer, or gave a guest the shop's id.
    registered: bool,
}

impl<V: TransactionView> Transaction<'_, V> {
    fn perform(&mut self, action: Action) -> Result<Receipt, TransactionError> {
        match action {
            Action::Customer {
                customer,
                existence,
                change,
                email_conflict,
                email_proof,
                if_match,
                commands,
            } => {
                let email_policy = (email_conflict, email_proof);
                let found = self.resolve_customer(&customer, existence, email_policy)?;
                if let Some(etag) = if_match
                    && self
                        .load_view(found.account)?
                        .is_none_or(|customer| customer.etag() != etag)
                {
                    return Err(Rejection::PreconditionFailed.into());
                }

                self.change_profile(found.account, change, email_policy)?;

                // A customer who was registered before cannot sign up again.
                let applies = |command: &&Command| found.registered || **command != Command::SignUp;
                for command in commands.iter().filter(applies) {
                    self.run_command(Some(found.account), command)?;
                }

                self.build_receipt(Some(&found), None)
            }
            Action::Order { command, customer, change } => {
                self.perform_order(&command, customer.as_ref(), change)
            }
            Action::Discount(action) => self.perform_discount(action),
            Action::Redemption(action) => self.perform_redemption(action),
            Action::PublishProgram { program, replaces } => {
                self.publish_program(*program, replaces)
            }
            Action::JoinReferral { customer, change, code } => {
                self.join_referral(&customer, change, &code)
            }
            Action::MergeCustomers { customer, from } => self.merge_customers(&customer, &from),
            Action::EraseCustomer { customer } => self.erase_customer(&customer),
            Action::ContinueErasure(step) => self.continue_erasure(step),
            Action::UndoClaim { customer, claim } => self.undo_claim(&customer, claim),
            Action::CatchUp(account) => self.catch_up(account),
            Action::RescheduleDue { limit } => self.reschedule_due(limit),
            Action::Import(id, action) => self.perform_import(&id, action),
            Action::Catalogue(action) => {
                let outcome = self.perform_catalogue(action)?;
                Ok(Receipt {
                    catalogue_outcome: Some(outcome),
                    ..self.build_receipt(None, None)?
                })
            }
        }
    }

    fn perform_order(
        &mut self,
        command: &Command,
        customer: Option<&CustomerRef>,
        change: ProfileChange,
    ) -> Result<Receipt, TransactionError> {
        let id = command
            .order()
            .ok_or_else(|| Failure::Corrupt("a command without an order".to_owned()))?;
        // A report that names an erased customer brings nobody back: it names nobody.
        let is_named = customer.is_some();
        let customer = match customer {
            Some(customer) => self.find_erasure(customer)?.is_none().then_some(customer),
            None => None,
        };
        let reported = match customer {
            Some(customer) => Some(self.resolve_customer(customer, Existence::Any, TYPED)?),
            None => None,
        };

        let before = self.load_order(id)?;
        let owner = before
            .account
            .map(|account| self.resolve_merged(account))
            .transpose()?;
        let names_erased = is_named && customer.is_none();
        let of_erased = owner
            .map(|owner| self.is_erased(owner))
            .transpose()?
            .unwrap_or_default();
        let stripped = (names_erased || of_erased)
            .then(|| erase::without_free_text(command))
            .flatten();
        let command = stripped.as_ref().unwrap_or(command);
        if let Some(reported) = &reported {
            self.change_profile(reported.account, change, TYPED)?;
        }

        // An order stays with the customer it was first reported for. A plugin does not
        // repeat a rejected report, so its report counts for that customer.
        let from_plugin = matches!(command, Command::RecordOrder { origin: Origin::Plugin, .. });
        let is_of_another = reported
            .as_ref()
            .is_some_and(|reported| owner.is_some_and(|owner| owner != reported.account));
        if is_of_another && !from_plugin && !of_erased {
            return Err(Rejection::OrderOfAnotherCustomer.into());
        }
        let owner =
            owner.map(|account| ResolvedCustomer { account, created: false, registered: false });
        let found = if is_of_another { owner } else { reported.or(owner) };
        let account = found.as_ref().map(|found| found.account);

        self.run_command(account, command)?;
        if let (Some(guest), false) = (self.unclaimed_guest, is_of_another) {
            self.run_command(account, &Command::NoteGuest { order: id.clone(), guest })?;
        }
        let (codes, rules) = self.update_order_codes(id, &before.state, account)?;
        self.update_order_redemptions(id, &before.state)?;

        Ok(Receipt {
            codes,
            rules,
            ..self.build_receipt(found.as_ref(), Some(id))?
        })
    }

    fn publish_program(
        &mut self,
        program: Program,
        replaces: Option<ProgramVersion>,
    ) -> Result<Receipt, TransactionError> {
        let (current, in_force) = self.load_program(None)?;
        if replaces.is_some_and(|replaced| replaced != current) {
            return Err(Rejection::ProgramChanged { current }.into());
        }
        if program == *in_force {
            return Ok(Receipt { program: Some(current), ..self.build_receipt(None, None)? });
        }

        // The times of versions ascend, even if the clock steps back.
        let timeline = self.load_timeline()?;
        let in_force_from = self.now.max(timeline.current_since());
        let limit = MAX_VERSIONS_PER_DAY;
        if let Some(recent) = timeline.published_before_last(limit)
            && let age = in_force_from.signed_duration_since(recent)
            && age < TimeDelta::days(1)
        {
            let rest = TimeDelta::days(1).num_seconds().saturating_sub(age.num_seconds());
            let retry_after = u32::try_from(rest).unwrap_or(u32::MAX);
            return Err(Rejection::TooManyVersions { limit, retry_after }.into());
        }

        let version = ProgramVersion(current.0.saturating_add(1));
        let published = PublishedProgram { version, program: Arc::new(program), in_force_from };
        self.changes.timeline = Some(Arc::new(timeline.with_version(published.clone())));
        self.changes.program = Some(published);
        let event = Event::ProgramPublished { version, at: in_force_from };
        self.append_events(None, vec![event])?;

        Ok(Receipt { program: Some(version), ..self.build_receipt(None, None)? })
    }

    fn build_receipt(
        &mut self,
        found: Option<&ResolvedCustomer>,
        order: Option<&OrderId>,
    ) -> Result<Receipt, TransactionError> {
        if let Some(found) = found
            && self.load_timeline()?.reschedule_cursor().is_some()
        {
            self.to_reschedule.push(found.account);
        }

        // Before the view is built, which shows the due time.
        self.reschedule_changed()?;
        let customer = found
            .map(|found| self.load_view(found.account))
            .transpose()?
            .flatten();

        Ok(Receipt {
            at: self.now,
            seq: self.changes.journal.last().map(|row| row.seq),
            customer,
            created: found.is_some_and(|found| found.created),
            order: order.map(|order| self.load_order(order)).transpose()?,
            program: None,
            codes: Vec::new(),
            rules: Vec::new(),
            discount_outcome: None,
            redemption: None,
            catalogue_outcome: None,
            import: None,
            merge: None,
            erasure: None,
            guest_not_claimed: self.unclaimed_guest.is_some(),
            events: std::mem::take(&mut self.events),
        })
    }

    // Lookups: the changes of this transaction, then the view.

    fn load_program(
        &mut self,
        version: Option<ProgramVersion>,
    ) -> Result<(ProgramVersion, Arc<Program>), Failure> {
        let shop = self.shop.id;
        let program = self.view.program(shop, version)?;
        program.ok_or_else(|| Failure::Corrupt(format!("shop {shop} has no program {version:?}")))
    }

    fn load_account(&mut self, account: AccountId) -> Result<Arc<AccountRecord>, Failure> {
        if let Some((_, record)) = self.changes.accounts.iter().find(|(id, _)| *id == account) {
            return Ok(Arc::clone(record));
        }
        let missing = || Failure::Corrupt(format!("account {account} has no state"));
        self.view.account(account)?.ok_or_else(missing)
    }

    fn load_order(&mut self, order: &OrderId) -> Result<Arc<OrderRecord>, Failure> {
        if let Some((_, record)) = self.changes.orders.iter().find(|(id, _)| id == order) {
            return Ok(Arc::clone(record));
        }
        let known = self.view.order(self.shop.id, order)?;
        Ok(known.unwrap_or_else(|| Arc::new(OrderRecord::new(order.clone()))))
    }

    fn load_customer(
        &mut self,
        account: AccountId,
    ) -> Result<Option<Arc<CustomerRecord>>, Failure> {
        // The last change counts: a customer can change more than once.
        let changed = self.changes.customers.iter().rev().find_map(|change| {
            let after = change.after.as_ref().or(change.before.as_ref())?;
            (after.account == account).then(|| change.after.clone())
        });

        match changed {
            Some(record) => Ok(record),
            None => self.view.customer(account),
        }
    }

    fn load_view(&mut self, account: AccountId) -> Result<Option<CustomerView>, Failure> {
        let Some(record) = self.load_customer(account)? else {
            return Ok(None);
        };
        let programs = self.load_programs(account)?;
        Ok(Some(CustomerView::new(record, self.load_account(account)?, programs)))
    }

    /// Returns the account that an account was finally merged into, or the account
    /// itself.
    fn resolve_merged(&mut self, account: AccountId) -> Result<AccountId, Failure> {
        let mut account = account;
        while let Some(into) = self.load_account(account)?.account.merged_into() {
            account = into;
        }
        Ok(account)
    }

    // Customers.

    /// Finds a customer by id, or else by e-mail. Creates a customer if none is found and
    /// `existence` allows it. A guest with the e-mail of a customer is merged into the
    /// customer, if the program allows that for such a proof.
    fn resolve_customer(
        &mut self,
        customer: &CustomerRef,
        existence: Existence,
        email_policy: EmailPolicy,
    ) -> Result<ResolvedCustomer, TransactionError> {
        let shop = self.shop.id;
        let by_id = customer
            .id()
            .map(|id| self.view.account_by_id(shop, id))
            .transpose()?
            .flatten();
        let by_email = customer
            .email()
            .map(|email| self.view.account_by_email(shop, email))
            .transpose()?
            .flatten();

        let known = by_id.or(by_email.filter(|_| customer.id().is_none()));
        match (known, existence) {
            (Some(_), Existence::Absent) => Err(Rejection::CustomerExists.into()),
            (None, Existence::Required) => Err(Rejection::CustomerNotFound.into()),
            (None, Existence::Any | Existence::Absent) => {
                let email = customer.email().filter(|_| by_email.is_none());
                let account = self.add_customer(customer.id(), email)?;
                self.attach_email(account, customer, email_policy)?;
                Ok(ResolvedCustomer { account, created: true, registered: true })
            }
            (Some(account), _) => {
                self.attach_email(account, customer, email_policy)?;
                Ok(ResolvedCustomer { account, created: false, registered: false })
            }
        }
    }

    /// Adds the e-mail of a reference to its customer. An e-mail alone only finds the
    /// customer: its spelling is not stored.
    fn attach_email(
        &mut self,
        account: AccountId,
        customer: &CustomerRef,
        email_policy: EmailPolicy,
    ) -> Result<(), TransactionError> {
        let CustomerRef::Both(_, email) = customer else { return Ok(()) };
        let email = self.claim_email(account, email.clone(), email_policy)?;
        let Some(before) = self.load_customer(account)? else {
            return Ok(());
        };

        let mut after = (*before).clone();
        email.apply_to(&mut after.email);
        self.update_customer(before, after)
    }

    fn add_customer(
        &mut self,
        id: Option<&CustomerId>,
        email: Option<&Email>,
    ) -> Result<AccountId, TransactionError> {
        let (account, _) = self.view.next_numbers();
        let record = CustomerRecord {
            shop: self.shop.id,
            account,
            id: id.cloned(),
            email: email.cloned(),
            profile: loyalty_core::Profile::default(),
            household: BTreeSet::new(),
            birthday_set_at: None,
            attributes_changed_at: self.now,
            created_at: self.now,
            updated_at: self.now,
            revision: 1,
            merged: Vec::new(),
        };

        self.changes
            .customers
            .push(CustomerChange { before: None, after: Some(Arc::new(record)) });
        upsert(&mut self.changes.accounts, account, Arc::new(AccountRecord::new(self.shop.id)));
        self.append_events(Some(account), vec![Event::CustomerAdded])?;
        Ok(account)
    }

    /// Changes a customer's profile. A change without a difference has no effect.
    fn change_profile(
        &mut self,
        account: AccountId,
        change: ProfileChange,
        email_policy: EmailPolicy,
    ) -> Result<(), TransactionError> {
        if change == ProfileChange::default() {
            return Ok(());
        }

        let ProfileChange {
            mut email,
            first_name,
            last_name,
            birthday,
            zip,
            country,
            tags,
            attributes,
            household,
        } = change;
        if let FieldChange::Set(Some(new)) = &email {
            email = self.claim_email(account, new.clone(), email_policy)?;
        }

        let Some(before) = self.load_customer(account)? else {
            return Ok(());
        };
        let mut after = (*before).clone();
        email.apply_to(&mut after.email);
        first_name.apply_to(&mut after.profile.first_name);
        last_name.apply_to(&mut after.profile.last_name);
        birthday.apply_to(&mut after.profile.birthday);
        zip.apply_to(&mut after.profile.zip);
        country.apply_to(&mut after.profile.country);
        after.profile.tags = tags.unwrap_or(after.profile.tags);
        after.profile.attributes = attributes.unwrap_or(after.profile.attributes);
        after.household = household.unwrap_or(after.household);

        self.catch_up_before_change(&before, &mut after)?;
        self.update_customer(before, after)
    }

    /// Saves a customer's record, and records that it changed. The profile of a new customer
    /// is part of its creation.
    fn update_customer(
        &mut self,
        before: Arc<CustomerRecord>,
        after: CustomerRecord,
    ) -> Result<(), TransactionError> {
        if is_same_customer(&before, &after) {
            return Ok(());
        }
        let account = before.account;
        let is_new = self.changes.customers.iter().any(|change| {
            let added = change.after.as_ref().filter(|_| change.before.is_none());
            added.is_some_and(|added| added.account == account)
        });
        if !is_new {
            // A row ends what is decided under the program of its time.
            self.run_command(Some(account), &Command::CatchUp)?;
        }

        self.save_customer(before, after);
        if !is_new {
            let at = self.now.max(self.load_account(account)?.at);
            self.append_events(Some(account), vec![Event::CustomerUpdated { at }])?;
        }
        Ok(())
    }

    fn save_customer(&mut self, before: Arc<CustomerRecord>, mut after: CustomerRecord) {
        if is_same_customer(&before, &after) {
            return;
        }

        after.updated_at = self.now;
        after.revision = before.revision.saturating_add(1);
        self.changes
            .customers
            .push(CustomerChange { before: Some(before), after: Some(Arc::new(after)) });
    }

    // Rules.

    /// Decides a command and appends its events, then runs the follow-up commands for
    /// friends' accounts, and issues the gifts that wait.
    fn run_command(
        &mut self,
        account: Option<AccountId>,
        command: &Command,
    ) -> Result<(), TransactionError> {
        self.run_without_gifts(account, command)?;
        account.map_or(Ok(()), |account| self.issue_gifts(account))
    }

    fn run_without_gifts(
        &mut self,
        account: Option<AccountId>,
        command: &Command,
    ) -> Result<(), TransactionError> {
        let completed = self.complete_command(command)?;
        let command = completed.as_ref().unwrap_or(command);

        // Gather the context of the rules.
        let record = account.map(|account| self.load_account(account)).transpose()?;
        let order = command.order().map(|order| self.load_order(order)).transpose()?;
        let customer = account
            .map(|account| self.load_customer(account))
            .transpose()?
            .flatten();
        let programs = match account {
            Some(account) => self.load_programs(account)?,
            None => self.load_timeline()?.current_programs(),
        };
        // The clock of an account is monotonic.
        let now = record.as_ref().map_or(self.now, |record| self.now.max(record.at));
        let pin = order.as_ref().and_then(|order| order.state.pin());
        let version = pin.map(|pin| pin.program).or_else(|| {
            let record = record
                .as_ref()
                .filter(|_| matches!(command, Command::IssueGift { .. }))?;
            record
                .account
                .activity()
                .gifts()
                .first_due(now)
                .map(|gift| gift.program)
        });
        let pinned = version.map(|version| self.load_program(Some(version))).transpose()?;
        let redemption = command
            .redemption()
            .map(|id| self.load_own_redemption(account, id))
            .transpose()?
            .flatten();
        let total_usage = match command.reward() {
            Some(reward) => crate::redemption::load_reward_usage(self, self.shop.id, reward)?,
            None => None,
        };

        let subject = RuleSubject {
            id: account,
            account: record.as_ref().map(|record| &record.account),
            customer: customer.as_deref(),
        };
        let decision = programs.with_context(&subject, now, |context| {
            let pinned = pinned.as_ref().map(|(_, program)| &**program);
            let order = order.as_ref().map(|order| &order.state);
            let context = order
                .map_or(*context, |order| context.with_order(order))
                .with_pinned_program(pinned)
                .with_redemption(redemption.as_ref())
                .with_total_usage(total_usage.as_ref());
            decide(&context, command)
        })?;

        if let Some(redrawn) = self.redraw_if_taken(command, &decision.events)? {
            return self.run_without_gifts(account, &redrawn);
        }
        let taken_back = gift::taken_back(&decision.events);
        self.append_events(account, decision.events)?;
        for redemption in taken_back {
            self.update_redemption_code(redemption)?;
        }

        // Follow-ups change friends' accounts in the same transaction. They have no
        // follow-ups of their own, and the customer's receipt does not show their events.
        let own_events = self.events.len();
        for (account, command) in decision.follow_ups {
            let account = self.resolve_merged(account)?;
            self.run_command(Some(account), &command)?;
        }
        self.events.truncate(own_events);
        Ok(())
    }

    /// Returns the position of the next row. Records that a row creates get its number as
    /// id.
    fn next_seq(&self) -> Seq {
        let (_, first) = self.view.next_numbers();
        let appended = Seq::try_from(self.changes.journal.len()).unwrap_or(Seq::MAX);
        first.saturating_add(appended)
    }

    /// Appends events to the journal as one row and folds them into all states they
    /// affect.
    fn append_events(
        &mut self,
        account: Option<AccountId>,
        events: Vec<Event>,
    ) -> Result<(), Failure> {
        if events.is_empty() {
            return Ok(());
        }
        let record = account.map(|account| self.load_account(account)).transpose()?;
        let mut row = JournalRow {
            seq: self.next_seq(),
            shop: self.shop.id,
            account,
            previous: record.as_ref().map(|record| record.seq).filter(|seq| *seq > 0),
            at: record.as_ref().map_or(self.now, |record| self.now.max(record.at)),
            balance: loyalty_core::Points::ZERO,
            sequence: record.as_ref().and_then(|record| record.next_sequence(&events)),
            events: events.into(),
        };

        if let (Some(account), Some(record)) = (account, record) {
            let mut record = Arc::unwrap_or_clone(record);
            record.fold(&row);
            row.balance = record.account.balance(row.at);
            self.to_reschedule.push(account);
            self.claim_codes(account, &row.events)?;
            upsert(&mut self.changes.accounts, account, Arc::new(record));
        }

        for event in row.events.iter() {
            let Some(id) = event.order() else { continue };

            // Removing the record releases this reference, so that `make_mut` does not
            // copy it.
            let changed = self.changes.orders.iter().position(|(known, _)| known == id);
            let (id, mut record) = match changed {
                Some(at) => self.changes.orders.swap_remove(at),
                None => (id.clone(), self.load_order(id)?),
            };
            Arc::make_mut(&mut record).fold(&row, event);
            self.changes.orders.push((id, record));
        }

        // Before the projections, which the index reads as they were before the row.
        for event in row.events.iter() {
            if let Event::Discount(event) = event {
                self.update_index(event)?;
            }
        }
        for key in projections::affected_keys(&row) {
            let record = self.projection(self.shop.id, &key)?;
            let mut record = record.map_or_else(|| Projection::new(&key), Arc::unwrap_or_clone);
            record.fold(&key, &row);
            upsert(&mut self.changes.projections, key, Arc::new(record));
        }

        self.events.extend(row.events.iter().cloned());
        self.changes.journal.push(Arc::new(row));
        Ok(())
    }
}

/// Returns true if nothing of a customer's record changes. E-mails are equal in any spelling,
/// but a new spelling is a change.
fn is_same_customer(before: &CustomerRecord, after: &CustomerRecord) -> bool {
    let spelling =
        |record: &CustomerRecord| record.email.as_ref().map(|email| email.as_str().to_owned());
    before == after && spelling(before) == spelling(after)
}

/// Replaces the value of a key, or adds it. A linear search: a transaction changes few
/// keys.
fn upsert<K: PartialEq, T>(values: &mut Vec<(K, T)>, key: K, value: T) {
    match values.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => values.push((key, value)),
    }
}

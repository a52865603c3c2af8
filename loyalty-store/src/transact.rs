//! One business transaction, decided in full before anything is written.
//!
//! [`transact`] reads through a [`TransactionView`] and answers with [`ChangeSet`] and the outcome. It knows neither SQL
//! nor threads, so that every store decides alike. The order of checks: idempotency, look-ups, rules.

mod catalogue;
mod claim;
mod discount;
mod redemption;
mod time;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::SubsecRound;
use loyalty_core::{
    AccountId, Command, Context, CustomerId, Email, Event, OrderId, Origin, Program,
    ProgramVersion, ShopId, Timestamp, decide, merge,
};

use crate::discount::index::IndexChange;
use crate::discount::lookup::DiscountView;
use crate::error::{Failure, Rejection};
use crate::projections::{self, Projection, ProjectionKey};
use crate::query::CustomerView;
use crate::record::{AccountRecord, CustomerRecord, JournalRow, OrderRecord, Seq};
use crate::request::{
    Action, CustomerRef, EmailConflict, Existence, FieldChange, Outcome, ProfileChange, Receipt,
    Reply, Request, Response,
};
use crate::shop::Shop;
use crate::timeline::{ProgramTimeline, PublishedProgram, RuleSubject};

pub(crate) use catalogue::{AssignedNumbers, CatalogueChange, CatalogueView};
pub(crate) use claim::{CodeClaim, CodeClaimView};

/// State that a transaction reads. A view can lie over another one: the changes of earlier requests
/// over the committed state.
pub(crate) trait StateView: CatalogueView + CodeClaimView + DiscountView {
    fn shop(&mut self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure>;
    fn program(
        &mut self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure>;
    /// When the programs of a shop came in force.
    fn timeline(&mut self, shop: ShopId) -> Result<Option<Arc<ProgramTimeline>>, Failure>;
    fn account(&mut self, account: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure>;
    /// The accounts of a shop's customers, in their order, `after` one.
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
}

/// An answer that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredResponse {
    pub(crate) shop: ShopId,
    pub(crate) key: [u8; 16],
    pub(crate) fingerprint: [u8; 16],
    pub(crate) at: Timestamp,
    pub(crate) response: Response,
}

impl StoredResponse {
    /// How long an answer is kept, in days.
    pub(crate) const REPLAY_DAYS: i64 = 30;
    /// When it may be dropped: later, so that a clock that steps back still finds what it should.
    pub(crate) const RETENTION_DAYS: i64 = 40;

    /// Whether it still stands.
    pub(crate) fn is_replayable(&self, now: Timestamp) -> bool {
        now.signed_duration_since(self.at).num_days() < Self::REPLAY_DAYS
    }

    /// The answer, where it is given again: to the same request, in time.
    pub(crate) fn replay(&self, fingerprint: &[u8; 16], now: Timestamp) -> Option<Response> {
        (self.is_replayable(now) && self.fingerprint == *fingerprint).then(|| self.response.clone())
    }
}

/// What a transaction writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangeSet {
    pub(crate) journal: Vec<Arc<JournalRow>>,
    pub(crate) accounts: Vec<(AccountId, Arc<AccountRecord>)>,
    pub(crate) orders: Vec<(OrderId, Arc<OrderRecord>)>,
    /// Customers that are new or changed, each with the record before.
    pub(crate) customers: Vec<CustomerChange>,
    pub(crate) program: Option<PublishedProgram>,
    /// The programs by time, where something of that changed.
    pub(crate) timeline: Option<Arc<ProgramTimeline>>,
    /// Accounts for which something else is due next, though no row of the journal says so.
    pub(crate) due_changes: Vec<(AccountId, Option<Timestamp>)>,
    /// Names that accounts have from now on.
    pub(crate) claims: Vec<(CodeClaim, AccountId)>,
    pub(crate) projections: Vec<(ProjectionKey, Arc<Projection>)>,
    pub(crate) index_changes: Vec<IndexChange>,
    pub(crate) catalogue_changes: Vec<CatalogueChange>,
    pub(crate) assigned_numbers: AssignedNumbers,
    pub(crate) stored_response: Option<StoredResponse>,
}

/// A customer's record before and after; none after a merge into another.
#[derive(Clone, Debug)]
pub(crate) struct CustomerChange {
    pub(crate) before: Option<Arc<CustomerRecord>>,
    pub(crate) after: Option<Arc<CustomerRecord>>,
}

/// Carries out one request.
pub(crate) fn transact(
    view: &mut impl TransactionView,
    request: Request,
) -> Result<(ChangeSet, Reply), Failure> {
    let Request { shop, now, dry_run, idempotency, action } = request;
    // No finer than any store keeps it, so that a state is the same before and after it was written.
    let now = now.trunc_subsecs(6);
    if dry_run {
        let (_, outcome) = run_action(view, shop, now, action)?;
        return Ok((ChangeSet::default(), Reply::Decided(outcome)));
    }
    let Some(idempotency) = idempotency else {
        let (changes, outcome) = run_action(view, shop, now, action)?;
        return Ok((changes, Reply::Decided(outcome)));
    };
    if let Some(kept) = view.stored_response(shop, &idempotency.key, now)? {
        if kept.fingerprint == idempotency.fingerprint {
            return Ok((
                ChangeSet::default(),
                Reply::Stored { response: kept.response, replayed: true },
            ));
        }
        return Ok((ChangeSet::default(), Reply::Decided(Err(Rejection::IdempotencyKeyReused))));
    }
    let (mut changes, outcome) = run_action(view, shop, now, action)?;
    let answer = (idempotency.render)(&outcome);
    let (key, fingerprint) = (idempotency.key, idempotency.fingerprint);
    changes.stored_response =
        Some(StoredResponse { shop, key, fingerprint, at: now, response: answer.clone() });
    Ok((changes, Reply::Stored { response: answer, replayed: false }))
}

/// What stops a transaction: the answer is no, or something broke.
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

/// A rejection leaves no changes behind.
fn run_action(
    view: &mut impl TransactionView,
    shop: ShopId,
    now: Timestamp,
    action: Action,
) -> Result<(ChangeSet, Outcome), Failure> {
    let shop = view
        .shop(shop)?
        .ok_or_else(|| Failure::Corrupt(format!("shop {shop} does not exist")))?;
    let (changes, events, moved) = (ChangeSet::default(), Vec::new(), Vec::new());
    let mut transaction = Transaction { view, shop, now, changes, events, to_reschedule: moved };
    match transaction.perform(action) {
        Ok(receipt) => Ok((transaction.changes, Ok(receipt))),
        Err(TransactionError::Rejected(rejection)) => Ok((ChangeSet::default(), Err(rejection))),
        Err(TransactionError::Failed(failure)) => Err(failure),
    }
}

struct Transaction<'v, V> {
    view: &'v mut V,
    shop: Arc<Shop>,
    now: Timestamp,
    changes: ChangeSet,
    events: Vec<Event>,
    /// Accounts of which it must be found anew what is due next.
    to_reschedule: Vec<AccountId>,
}

/// A customer who was found or made.
struct ResolvedCustomer {
    account: AccountId,
    created: bool,
    /// Whether the shop's id of them is new, or they are.
    registered: bool,
}

impl<V: TransactionView> Transaction<'_, V> {
    fn perform(&mut self, action: Action) -> Result<Receipt, TransactionError> {
        match action {
            Action::Customer {
                customer: who,
                existence: presence,
                change,
                email_conflict: conflict,
                if_match,
                commands,
            } => {
                let found = self.resolve_customer(&who, presence, conflict)?;
                if let Some(seen) = if_match
                    && self
                        .load_view(found.account)?
                        .is_none_or(|customer| customer.etag() != seen)
                {
                    return Err(Rejection::PreconditionFailed.into());
                }
                self.change_profile(found.account, change, conflict)?;
                // Who is known for long does not sign up.
                let tells = |command: &&Command| found.registered || **command != Command::SignUp;
                for command in commands.iter().filter(tells) {
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
            Action::JoinReferral { customer: who, change, code } => {
                self.join_referral(&who, change, &code)
            }
            Action::CatchUp(account) => self.catch_up(account),
            Action::RescheduleDue { limit } => self.reschedule_due(limit),
            Action::Catalogue(action) => {
                let catalogued = self.perform_catalogue(action)?;
                Ok(Receipt {
                    catalogue_outcome: Some(catalogued),
                    ..self.build_receipt(None, None)?
                })
            }
        }
    }

    fn perform_order(
        &mut self,
        command: &Command,
        who: Option<&CustomerRef>,
        change: ProfileChange,
    ) -> Result<Receipt, TransactionError> {
        let id = command
            .order()
            .ok_or_else(|| Failure::Corrupt("a command without an order".to_owned()))?;
        let named = match who {
            Some(who) => Some(self.resolve_customer(who, Existence::Any, EmailConflict::Ignore)?),
            None => None,
        };
        let before = self.load_order(id)?;
        let known = before
            .account
            .map(|account| self.resolve_merged(account))
            .transpose()?;
        if let Some(named) = &named {
            self.change_profile(named.account, change, EmailConflict::Ignore)?;
        }
        // An order stays with whom it was first reported for. A plugin does not send a refused report
        // again, so its facts are taken all the same.
        let from_plugin = matches!(command, Command::RecordOrder { origin: Origin::Plugin, .. });
        let moved = named
            .as_ref()
            .is_some_and(|named| known.is_some_and(|known| known != named.account));
        if moved && !from_plugin {
            return Err(Rejection::OrderOfAnotherCustomer.into());
        }
        let first =
            known.map(|account| ResolvedCustomer { account, created: false, registered: false });
        let found = if moved { first } else { named.or(first) };
        let account = found.as_ref().map(|found| found.account);
        self.run_command(account, command)?;
        let codes = self.update_order_codes(id, &before.state, account)?;
        self.update_order_redemptions(id, &before.state)?;
        Ok(Receipt { codes, ..self.build_receipt(found.as_ref(), Some(id))? })
    }

    fn publish_program(
        &mut self,
        program: Program,
        replaces: Option<ProgramVersion>,
    ) -> Result<Receipt, TransactionError> {
        let (current, _) = self.load_program(None)?;
        if replaces.is_some_and(|seen| seen != current) {
            return Err(Rejection::ProgramChanged { current }.into());
        }
        let version = ProgramVersion(current.0.saturating_add(1));
        let history = self.load_timeline()?;
        // Versions follow each other in time, also where the clock steps back.
        let from = self.now.max(history.current_since());
        let published =
            PublishedProgram { version, program: Arc::new(program), in_force_from: from };
        self.changes.timeline = Some(Arc::new(history.with_version(published.clone())));
        self.changes.program = Some(published);
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
            discount_outcome: None,
            redemption: None,
            catalogue_outcome: None,
            events: std::mem::take(&mut self.events),
        })
    }

    // Look-ups: what this transaction changed, else what the view holds.

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
        let lost = || Failure::Corrupt(format!("account {account} has no state"));
        self.view.account(account)?.ok_or_else(lost)
    }

    fn load_order(&mut self, order: &OrderId) -> Result<Arc<OrderRecord>, Failure> {
        if let Some((_, record)) = self.changes.orders.iter().find(|(id, _)| id == order) {
            return Ok(Arc::clone(record));
        }
        Ok(self.view.order(self.shop.id, order)?.unwrap_or_default())
    }

    fn load_customer(
        &mut self,
        account: AccountId,
    ) -> Result<Option<Arc<CustomerRecord>>, Failure> {
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
        let terms = self.load_programs(account)?;
        Ok(Some(CustomerView::new(record, self.load_account(account)?, terms)))
    }

    /// The account that an account was merged into, if it was.
    fn resolve_merged(&mut self, account: AccountId) -> Result<AccountId, Failure> {
        let mut account = account;
        while let Some(into) = self.load_account(account)?.account.merged_into() {
            account = into;
        }
        Ok(account)
    }

    // Customers.

    /// Finds a customer by id, else by e-mail; merges a guest into the customer who brings the guest's
    /// e-mail; makes a new one where that is allowed.
    fn resolve_customer(
        &mut self,
        who: &CustomerRef,
        presence: Existence,
        conflict: EmailConflict,
    ) -> Result<ResolvedCustomer, TransactionError> {
        let shop = self.shop.id;
        let by_id = who
            .id()
            .map(|id| self.view.account_by_id(shop, id))
            .transpose()?
            .flatten();
        let by_email = who
            .email()
            .map(|email| self.view.account_by_email(shop, email))
            .transpose()?
            .flatten();
        let guest = match by_email {
            Some(account) => self.load_customer(account)?.filter(|customer| customer.id.is_none()),
            None => None,
        };
        let taken =
            by_email.is_some() && guest.is_none() && who.id().is_some() && by_email != by_id;
        if taken && conflict == EmailConflict::Reject {
            return Err(Rejection::EmailTaken.into());
        }
        let known = by_id.or(guest.as_ref().map(|guest| guest.account));
        let known = known.or(by_email.filter(|_| who.id().is_none()));
        match (known, presence) {
            (Some(_), Existence::Absent) if by_id.is_some() || who.id().is_none() => {
                Err(Rejection::CustomerExists.into())
            }
            (None, Existence::Required) => Err(Rejection::CustomerNotFound.into()),
            (None, Existence::Any | Existence::Absent) => {
                let email = who.email().filter(|_| !taken);
                let account = self.add_customer(who.id(), email)?;
                Ok(ResolvedCustomer { account, created: true, registered: true })
            }
            (Some(account), _) => {
                self.attach_identity(account, guest, who, taken)?;
                let registered = by_id.is_none() && who.id().is_some();
                Ok(ResolvedCustomer { account, created: false, registered })
            }
        }
    }

    /// A known customer brings id or e-mail: the guest of that e-mail becomes this customer.
    fn attach_identity(
        &mut self,
        account: AccountId,
        guest: Option<Arc<CustomerRecord>>,
        who: &CustomerRef,
        taken: bool,
    ) -> Result<(), TransactionError> {
        if let Some(guest) = guest.filter(|guest| guest.account != account) {
            self.merge_guest(&guest, account)?;
        }
        let Some(before) = self.load_customer(account)? else {
            return Ok(());
        };
        // Who is named by e-mail alone is only looked up; another spelling is no change.
        let email = if let CustomerRef::Both(_, email) = who {
            Some(email).filter(|_| !taken)
        } else {
            None
        };
        let says = |email: &Email| {
            before
                .email
                .as_ref()
                .is_some_and(|known| known.as_str() == email.as_str())
        };
        if (before.id.is_some() || who.id().is_none()) && email.is_none_or(says) {
            return Ok(());
        }
        let mut after = (*before).clone();
        after.id = after.id.or_else(|| who.id().cloned());
        after.email = email.cloned().or(after.email);
        self.save_customer(before, after);
        Ok(())
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
        };
        self.changes
            .customers
            .push(CustomerChange { before: None, after: Some(Arc::new(record)) });
        upsert(&mut self.changes.accounts, account, Arc::new(AccountRecord::new(self.shop.id)));
        self.append_events(Some(account), vec![Event::CustomerAdded])?;
        Ok(account)
    }

    fn merge_guest(
        &mut self,
        guest: &Arc<CustomerRecord>,
        into: AccountId,
    ) -> Result<(), TransactionError> {
        for account in [guest.account, into] {
            self.run_command(Some(account), &Command::CatchUp)?;
        }
        let from = self.load_account(guest.account)?;
        let to = self.load_account(into)?;
        let now = self.now.max(from.at).max(to.at);
        let (from_events, into_events) =
            merge((guest.account, &from.account), (into, &to.account), now)?;
        self.append_events(Some(guest.account), from_events)?;
        self.append_events(Some(into), into_events)?;
        self.changes
            .customers
            .push(CustomerChange { before: Some(Arc::clone(guest)), after: None });
        Ok(())
    }

    /// Changes what is known of a customer, where that makes a difference.
    fn change_profile(
        &mut self,
        account: AccountId,
        change: ProfileChange,
        conflict: EmailConflict,
    ) -> Result<(), TransactionError> {
        if change == ProfileChange::default() {
            return Ok(());
        }
        let Some(before) = self.load_customer(account)? else {
            return Ok(());
        };
        let ProfileChange {
            mut email,
            first_name,
            last_name,
            birthday,
            zip,
            country,
            tags,
            household,
        } = change;
        if let FieldChange::Set(Some(new)) = &email {
            email = self.claim_email(account, new.clone(), conflict)?;
        }
        let mut after = (*before).clone();
        email.apply_to(&mut after.email);
        first_name.apply_to(&mut after.profile.first_name);
        last_name.apply_to(&mut after.profile.last_name);
        birthday.apply_to(&mut after.profile.birthday);
        zip.apply_to(&mut after.profile.zip);
        country.apply_to(&mut after.profile.country);
        after.profile.tags = tags.unwrap_or(after.profile.tags);
        after.household = household.unwrap_or(after.household);
        self.catch_up_before_change(&before, &mut after)?;
        self.save_customer(before, after);
        Ok(())
    }

    /// An e-mail may be set where nobody has it, or a guest whom this customer turns out to be.
    fn claim_email(
        &mut self,
        account: AccountId,
        email: Email,
        conflict: EmailConflict,
    ) -> Result<FieldChange<Email>, TransactionError> {
        let holder = self
            .view
            .account_by_email(self.shop.id, &email)?
            .filter(|holder| *holder != account);
        let holder = holder.map(|holder| self.load_customer(holder)).transpose()?.flatten();
        match holder {
            None => Ok(FieldChange::Set(Some(email))),
            Some(guest) if guest.id.is_none() => {
                self.merge_guest(&guest, account)?;
                Ok(FieldChange::Set(Some(email)))
            }
            Some(_) if conflict == EmailConflict::Reject => Err(Rejection::EmailTaken.into()),
            Some(_) => Ok(FieldChange::Keep),
        }
    }

    fn save_customer(&mut self, before: Arc<CustomerRecord>, mut after: CustomerRecord) {
        let spelled =
            |record: &CustomerRecord| record.email.as_ref().map(|email| email.as_str().to_owned());
        if *before == after && spelled(&before) == spelled(&after) {
            return;
        }
        after.updated_at = self.now;
        after.revision = before.revision.saturating_add(1);
        self.changes
            .customers
            .push(CustomerChange { before: Some(before), after: Some(Arc::new(after)) });
    }

    // Rules.

    /// Lets the rules decide one command and folds what follows.
    fn run_command(
        &mut self,
        account: Option<AccountId>,
        command: &Command,
    ) -> Result<(), TransactionError> {
        let informed = self.complete_command(command)?;
        let command = informed.as_ref().unwrap_or(command);
        let record = account.map(|account| self.load_account(account)).transpose()?;
        let order = command.order().map(|order| self.load_order(order)).transpose()?;
        let customer = account
            .map(|account| self.load_customer(account))
            .transpose()?
            .flatten();
        let terms = match account {
            Some(account) => self.load_programs(account)?,
            None => self.load_timeline()?.current_programs(),
        };
        let pin = order.as_ref().and_then(|order| order.state.pin());
        let pinned = pin.map(|pin| self.load_program(Some(pin.program))).transpose()?;
        let redemption = command
            .redemption()
            .map(|id| self.load_own_redemption(account, id))
            .transpose()?
            .flatten();
        let had_in_all = match command.reward() {
            Some(reward) => crate::redemption::load_reward_usage(self, self.shop.id, reward)?,
            None => None,
        };
        let now = record.as_ref().map_or(self.now, |record| self.now.max(record.at));
        let account_now = record.as_ref().map(|record| &record.account);
        let subject = RuleSubject {
            id: account,
            account: account_now,
            customer: customer.as_deref(),
        };
        let decision = terms.with_context(&subject, now, |context| {
            let pinned = pinned.as_ref().map(|(_, program)| &**program);
            let order = order.as_ref().map(|order| &order.state);
            let (redemption, had_in_all) = (redemption.as_ref(), had_in_all.as_ref());
            decide(
                &Context {
                    pinned_program: pinned,
                    order,
                    redemption,
                    total_usage: had_in_all,
                    ..*context
                },
                command,
            )
        })?;
        if let Some(again) = self.redraw_if_taken(command, &decision.events)? {
            return self.run_command(account, &again);
        }
        self.append_events(account, decision.events)?;
        // What follows for a friend's account, in the same transaction. It leads no further, and is not
        // what this customer is told of.
        let told = self.events.len();
        for (account, command) in decision.follow_ups {
            let account = self.resolve_merged(account)?;
            self.run_command(Some(account), &command)?;
        }
        self.events.truncate(told);
        Ok(())
    }

    /// The position of the next row. What a row makes is named after it.
    fn next_seq(&self) -> Seq {
        let (_, first) = self.view.next_numbers();
        let written = Seq::try_from(self.changes.journal.len()).unwrap_or(Seq::MAX);
        first.saturating_add(written)
    }

    /// Appends events to the journal and folds them into the states that they are about.
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
            // Taken out, so that only what others hold too is copied.
            let changed = self.changes.orders.iter().position(|(known, _)| known == id);
            let (id, mut record) = match changed {
                Some(at) => self.changes.orders.swap_remove(at),
                None => (id.clone(), self.load_order(id)?),
            };
            Arc::make_mut(&mut record).fold(&row, event);
            self.changes.orders.push((id, record));
        }
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

/// Replaces the value of a key, or adds it. Few keys change in one transaction.
fn upsert<K: PartialEq, T>(values: &mut Vec<(K, T)>, key: K, value: T) {
    match values.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => values.push((key, value)),
    }
}

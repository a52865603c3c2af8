//! Sends the same random requests to two stores: memory, which is simple, and a file,
//! which is fast. Every reply and every read must be equal, however the file is closed,
//! copied as after a crash, and opened in between.
//!
//! There are few customers, orders and keys, so that requests collide.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use loyalty_core::discount::{
    CustomerSelection, ItemSelection, PriceRule, PriceRuleParts, TargetSelection,
};
use loyalty_core::program::EmailProof;
use loyalty_core::proptest::{expiring_programs, facts, full_programs, programs, tags, tier_ids};
use loyalty_core::{
    AccountId, Amount, CheckoutId, CodeId, Command, ManualTier, PriceRuleId, Program,
    ProgramVersion, RedemptionId, RewardId, ShopId, Timestamp, Zone,
};
use loyalty_store::{
    Action, CatalogueAction, CustomerRef, DiscountAction, Discounts, EmailConflict, Existence,
    FieldChange, MemoryStore, NumericId, Pending, Product, ProfileChange, RedemptionAction,
    RedemptionView, Redemptions, Request, RuleChange, SearchQuery, SqliteStore, Store,
    StoreSettings,
};
use loyalty_tests::*;
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::TempDatabase;
use loyalty_store::conformance::catalogue;
use loyalty_store::conformance::contents::{StoreContents, assert_consistent};

/// A step of a run.
#[derive(Clone, Debug)]
enum Step {
    /// Requests in sequence, sent without waiting for each other's replies.
    Send(Vec<StepRequest>),
    /// Close and reopen the file.
    Reopen,
    /// Open a copy of the file, as after a crash.
    Crash,
    /// No requests, so that the writer checkpoints.
    Idle,
}

/// A request, except for the ids that only the store assigns.
#[derive(Clone, Debug)]
struct StepRequest {
    shop: usize,
    hours: i64,
    key: Option<u8>,
    expected_current: Option<bool>,
    /// Send an earlier request again instead.
    repeats: Option<Index>,
    dry_run: bool,
    /// Random, so that the codes of gifts differ.
    entropy: [u8; 32],
    action: Action,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let orders = (0..5_u8)
        .map(|number| facts(order_id(&format!("o{number}"))))
        .collect::<Vec<_>>();
    orders.prop_flat_map(|facts| {
        let requests = vec(step_requests(facts.concat()), 1..6);
        let step = prop_oneof![
            20 => requests.prop_map(Step::Send),
            2 => Just(Step::Reopen),
            2 => Just(Step::Crash),
            1 => Just(Step::Idle),
        ];
        vec(step, 1..30)
    })
}

fn step_requests(facts: Vec<Command>) -> impl Strategy<Value = StepRequest> {
    // Boxed, because all of them are too large for the stack of a test.
    let action = prop_oneof![
        6 => customer_actions().boxed(),
        6 => command_actions(facts).boxed(),
        5 => discount_actions().boxed(),
        6 => redemption_actions().boxed(),
        3 => catalogue_actions().boxed(),
        1 => publish_actions().boxed(),
        2 => scheduled_actions().boxed(),
    ];

    let key = weighted(0.3, 0..6_u8);
    let repeats = weighted(0.2, any::<Index>());
    let dry_run = any::<u8>().prop_map(|chance| chance < 20);
    (
        0..2_usize,
        -20..200_i64,
        key,
        weighted(0.1, any::<bool>()),
        repeats,
        dry_run,
        (action, any::<[u8; 32]>()),
    )
        .prop_map(
            |(shop, hours, key, expected_current, repeats, dry_run, (action, entropy))| {
                StepRequest {
                    shop,
                    hours,
                    key,
                    expected_current,
                    repeats,
                    dry_run,
                    entropy,
                    action,
                }
            },
        )
}

/// Requests of the scheduler, and joins by a referral code.
fn scheduled_actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (1..8_i64).prop_map(|account| Action::CatchUp(AccountId(account))),
        3 => select(&[1, 2, 50, 50_usize][..]).prop_map(|limit| Action::RescheduleDue { limit }),
        2 => (customer_refs(), customer_refs())
            .prop_map(|(customer, from)| Action::MergeCustomers { customer, from }),
        3 => (customer_refs(), 1..8_i64)
            .prop_map(|(customer, claim)| Action::UndoClaim { customer, claim: AccountId(claim) }),
        2 => (customer_refs(), select(&["2222222222222222", "2222222222222223"][..])).prop_map(|(customer, code)| {
            Action::JoinReferral { customer, change: ProfileChange::default(), code: code.to_owned() }
        }),
    ]
}

fn customer_actions() -> impl Strategy<Value = Action> {
    let existence = prop_oneof![6 => Just(Existence::Any), 2 => Just(Existence::Required), 1 => Just(Existence::Absent)];
    (
        customer_refs(),
        existence,
        weighted(0.4, profile_changes()),
        (
            email_conflicts(),
            select(&[EmailProof::Typed, EmailProof::Profile, EmailProof::Verified][..]),
        ),
        vec(manual_commands(), 0..3),
    )
        .prop_map(|(customer, existence, change, email_policy, commands)| Action::Customer {
            customer,
            existence,
            change: change.unwrap_or_default(),
            email_conflict: email_policy.0,
            email_proof: email_policy.1,
            if_match: None,
            commands,
        })
}

fn command_actions(facts: Vec<Command>) -> impl Strategy<Value = Action> {
    let used_codes = (vec(code_text(), 0..3), of(checkout_id()));
    (
        any::<Index>(),
        any::<bool>(),
        weighted(0.7, customer_refs()),
        weighted(0.2, profile_changes()),
        used_codes,
    )
        .prop_map(move |(fact, has_time, customer, change, (codes, checkout))| {
            let mut command = fact.get(&facts).clone();
            if let Command::RecordOrder { snapshot, .. } = &mut command {
                let order = Arc::make_mut(snapshot);
                (order.codes, order.checkout) =
                    (codes.into_iter().map(discount_code).collect(), checkout);
            }
            if let Command::RecordOrder { at, .. }
            | Command::RefundOrder { at, .. }
            | Command::CancelOrder { at, .. } = &mut command
                && !has_time
            {
                *at = None;
            }
            Action::Order { command, customer, change: change.unwrap_or_default() }
        })
}

fn code_text() -> impl Strategy<Value = &'static str> {
    select(&["A", "a", "B", "Straße", "STRASSE", "C", "redemption 0", "redemption 1"][..])
}

fn checkout_id() -> impl Strategy<Value = CheckoutId> {
    select(&["k1", "k2"][..]).prop_map(|id| CheckoutId::new(id).unwrap())
}

/// Ids of rules and codes are indices of existing ones; ends are minutes from the current
/// time.
fn discount_actions() -> impl Strategy<Value = Action> {
    let rule = || (0..4_i64).prop_map(PriceRuleId);
    let code = || (0..4_i64).prop_map(CodeId);
    let codes = || vec(code_text().prop_map(discount_code), 0..3);
    let save = (of(rule()), price_rule()).prop_map(|(id, rule)| DiscountAction::SaveRule {
        id,
        rule: Box::new(rule),
        if_match: None,
    });
    let amend = (rule(), of(1..3_u64)).prop_map(|(id, usage_limit)| DiscountAction::ChangeRule {
        id,
        change: RuleChange::new(move |parts| PriceRuleParts { usage_limit, ..parts }),
    });
    let change = (rule(), code(), of(code_text().prop_map(discount_code)), of(any::<bool>()));
    let reserve = (checkout_id(), codes(), of(customer_refs()), 0..90_i64).prop_map(
        |(checkout, codes, customer, minutes)| {
            let until = Timestamp::from_timestamp(minutes * 60, 0).unwrap();
            DiscountAction::Reserve {
                checkout,
                codes,
                rules: Vec::new(),
                customer,
                segments: Vec::new(),
                until,
            }
        },
    );

    let release = (checkout_id(), of(code_text().prop_map(discount_code)));
    let actions = prop_oneof![
        4 => save,
        2 => amend,
        1 => rule().prop_map(|id| DiscountAction::DeleteRule { id, if_match: None }),
        6 => (rule(), code_text()).prop_map(|(rule, text)| DiscountAction::AddCode { rule, text: discount_code(text) }),
        2 => (rule(), vec(code_text().prop_map(str::to_owned), 0..4))
            .prop_map(|(rule, texts)| DiscountAction::AddCodes { rule, texts }),
        2 => change.prop_map(|(rule, code, text, enabled)| DiscountAction::ChangeCode { rule, code, text, enabled }),
        1 => (rule(), code()).prop_map(|(rule, code)| DiscountAction::RemoveCode { rule, code }),
        6 => reserve,
        2 => release.prop_map(|(checkout, code)| DiscountAction::Release { checkout, code }),
    ];
    actions.prop_map(Action::Discount)
}

/// Ids are indices of existing redemptions.
fn redemption_actions() -> impl Strategy<Value = Action> {
    let id = || (0..4_i64).prop_map(RedemptionId);
    let reward = (0..3_u8).prop_map(|reward| RewardId::new(format!("reward{reward}")).unwrap());
    let amount = weighted(0.2, (1..6_u32).prop_map(Amount::from));
    let order = of((0..3_u8).prop_map(|order| order_id(&format!("o{order}"))));
    let subtotal = weighted(0.2, (1..12_u32).prop_map(Amount::from));
    let issue = (customer_refs(), reward, amount, subtotal, any::<[u8; 16]>()).prop_map(
        |(customer, reward, amount, subtotal, entropy)| RedemptionAction::Issue {
            customer,
            reward,
            amount,
            subtotal,
            entropy,
        },
    );

    let actions = prop_oneof![
        5 => issue,
        2 => id().prop_map(|id| RedemptionAction::Cancel { id }),
        1 => (id(), order).prop_map(|(id, order)| RedemptionAction::Use { id, order }),
    ];
    actions.prop_map(Action::Redemption)
}

fn price_rule() -> impl Strategy<Value = PriceRule> {
    let emails = vec(address().prop_map(email_address), 0..2);
    let items =
        (select(&["7", "tea"][..]), select(&["1", "s", "m"][..])).prop_map(|(product, variant)| {
            ItemSelection {
                products: [product.parse().unwrap()].into(),
                variants: [variant.parse().unwrap()].into(),
                ..ItemSelection::default()
            }
        });
    (of(1..3_u64), any::<bool>(), emails, weighted(0.3, items)).prop_map(
        |(usage_limit, once_per_customer, emails, items)| {
            let mut parts = PriceRuleParts { usage_limit, once_per_customer, ..ten_percent() };
            if !emails.is_empty() {
                (parts.customer_selection, parts.prerequisite_emails) =
                    (CustomerSelection::Prerequisite, emails);
            }

            if let Some(entitled) = items {
                (parts.target_selection, parts.entitled) = (TargetSelection::Entitled, entitled);
            }
            PriceRule::new(parts, 2).unwrap()
        },
    )
}

fn publish_actions() -> impl Strategy<Value = Action> {
    let timed_programs = select(&loyalty_store::conformance::time::PROGRAMS[..])
        .prop_map(|document| Program::from_json(document).unwrap());
    (
        prop_oneof![programs(), expiring_programs(), full_programs(), timed_programs],
        weighted(0.3, 1..4_u32),
    )
        .prop_map(|(program, replaces)| Action::PublishProgram {
            program: Box::new(program),
            replaces: replaces.map(ProgramVersion),
        })
}

/// Few ids, so that items are changed, deleted and recreated.
fn catalogue_actions() -> impl Strategy<Value = Action> {
    let title = || select(&["Tea", "Cup"][..]);
    let product = (select(&["7", "tea"][..]), title(), vec(select(&["1", "s", "m"][..]), 0..3))
        .prop_map(|(id, title, variants)| {
            let variants = variants
                .iter()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(|id| catalogue::variant(id))
                .collect();
            Product { variants, ..catalogue::product(id, title) }
        });
    let category =
        (select(&["a", "b"][..]), title()).prop_map(|(id, name)| catalogue::category(id, name));
    prop_oneof![
        4 => vec(product, 1..4).prop_map(CatalogueAction::PutProducts),
        1 => Just(CatalogueAction::DeleteProduct("tea".parse().unwrap())),
        2 => vec(category, 1..3).prop_map(CatalogueAction::PutCategories),
        1 => Just(CatalogueAction::DeleteCategory("a".parse().unwrap())),
        2 => title().prop_map(|name| {
            let query = SearchQuery::parse(name, hours(0), Zone::UTC).unwrap();
            CatalogueAction::SaveSearch { name: name.to_owned(), query }
        }),
        1 => (1..4_i64).prop_map(|number| CatalogueAction::DeleteSearch(NumericId::new(number).unwrap())),
    ]
    .prop_map(Action::Catalogue)
}

fn customer_refs() -> impl Strategy<Value = CustomerRef> {
    let id = || select(&["1", "2", "3", "4"][..]);
    prop_oneof![
        4 => id().prop_map(loyalty_tests::id),
        2 => address().prop_map(loyalty_tests::email),
        2 => (id(), address()).prop_map(|(id, address)| id_and_email(id, address)),
    ]
}

fn address() -> impl Strategy<Value = &'static str> {
    select(
        &["a@example.com", "A@example.com", "b@example.com", "B@Example.com", "c@example.com"][..],
    )
}

fn email_conflicts() -> impl Strategy<Value = EmailConflict> {
    select(&[EmailConflict::Reject, EmailConflict::Ignore][..])
}

fn profile_changes() -> impl Strategy<Value = ProfileChange> {
    let email = weighted(0.5, of(address())).prop_map(|email| match email {
        Some(email) => FieldChange::Set(email.map(email_address)),
        None => FieldChange::Keep,
    });
    let name = prop_oneof![
        Just(FieldChange::Keep),
        Just(FieldChange::Set(None)),
        Just(FieldChange::Set(Some("Ada".to_owned())))
    ];
    let days = [
        FieldChange::Keep,
        FieldChange::Set("1990-01-20".parse().ok()),
        FieldChange::Set("1991-03-01".parse().ok()),
    ];
    let day = select(days.to_vec());
    (email, name, day, weighted(0.3, tags())).prop_map(|(email, first_name, birthday, tags)| {
        ProfileChange {
            email,
            first_name,
            birthday,
            tags,
            ..ProfileChange::default()
        }
    })
}

fn manual_commands() -> impl Strategy<Value = Command> {
    let tier = (tier_ids(), weighted(0.5, 0..2_000_i64));
    prop_oneof![
        4 => (-1..300_i64).prop_map(add),
        4 => (-1..300_i64).prop_map(subtract),
        2 => (-1..300_i64).prop_map(set_balance),
        1 => of(tier).prop_map(|tier| {
            Command::SetTier(tier.map(|(id, until)| ManualTier { id, until: until.map(hours) }))
        }),
        1 => Just(Command::CatchUp),
        1 => Just(Command::SignUp),
        2 => select(&["A", " b", "C"][..]).prop_map(|code| Command::EnterCode { code: code.into(), used_by_other: false }),
        1 => (0..2_u8).prop_map(|last| Command::IssueReferralCode { entropy: [0, 0, 0, 0, 0, 0, 0, 0, 0, last] }),
        1 => Just(Command::PerformAction { action: "read".parse().unwrap(), points: None }),
        1 => Just(Command::SignUp),
        1 => Just(add(loyalty_core::Points::MAX.get())),
    ]
}

fn hours(count: i64) -> Timestamp {
    Timestamp::from_timestamp(1_767_225_600 + count * 3_600, 123_456_789).unwrap()
}

/// Searches that use an index in one store, and scan all customers in the other.
const SEARCHES: [&str; 6] = [
    "id:1 OR email:a@example.com",
    "email:B@EXAMPLE.COM -id:2",
    "id:4503599627370497 OR id:4503599627370498",
    "points:>100 OR tier:*",
    "id:3 points:>0",
    "id:4 OR first_name:ada",
];

/// Both stores, and the requests so far.
struct StorePair {
    memory: MemoryStore,
    database: TempDatabase,
    file: Option<SqliteStore>,
    settings: StoreSettings,
    shops: Vec<ShopId>,
    sent: Vec<StepRequest>,
    elapsed_hours: i64,
}

impl StorePair {
    fn new(settings: &StoreSettings) -> Self {
        let database = TempDatabase::new();
        let (memory, file) = (MemoryStore::default(), database.open_with(settings));
        let shops = [0, 1].map(|_| (TestShop::new(&memory).id, TestShop::new(&file).id));
        let shops: Vec<_> = shops
            .into_iter()
            .map(|(one, other)| if one == other { one } else { panic!() })
            .collect();
        // Both begin with accounts to reschedule.

        for (shop, program) in shops.iter().zip(loyalty_store::conformance::time::PROGRAMS) {
            let both: [&dyn Store; 2] = [&memory, &file];
            for store in both {
                let shop = TestShop { store, id: *shop, now: hours(0) };
                shop.execute(publish_action(program)).unwrap();
                shop.execute(Action::RescheduleDue { limit: 1 }).unwrap();
            }
        }

        Self {
            memory,
            database,
            file: Some(file),
            settings: settings.clone(),
            shops,
            sent: Vec::new(),
            elapsed_hours: 0,
        }
    }

    fn file(&self) -> &SqliteStore {
        self.file.as_ref().unwrap()
    }

    fn run_step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Send(requests) => return self.send(requests),
            Step::Reopen => {
                self.file = None;
                self.file = Some(self.database.open_with(&self.settings));
            }
            Step::Crash => {
                let copy = self.database.copy();
                self.file = Some(copy.open_with(&self.settings));
                self.database = copy;
            }
            Step::Idle => std::thread::sleep(Duration::from_millis(45)),
        }
        self.compare_stores()
    }

    /// The file's store gets all requests concurrently, memory gets them one by one.
    fn send(&mut self, requests: &[StepRequest]) -> Result<(), TestCaseError> {
        let mut results = Vec::new();
        for request in requests {
            self.elapsed_hours += request.hours;
            let repeats = request.repeats.filter(|_| !self.sent.is_empty());
            let step = repeats.map_or(request, |index| index.get(&self.sent)).clone();
            let action = self.resolve_request(&step);

            let request = || {
                let (shop, now) = (self.shops[step.shop], hours(self.elapsed_hours.max(0)));
                let dry_run = step.dry_run;
                let request = Request {
                    shop,
                    now,
                    dry_run,
                    idempotency: None,
                    entropy: Some(step.entropy),
                    action: action.clone(),
                };
                match step.key {
                    Some(key) => with_idempotency_key(
                        request,
                        &format!("k{key}"),
                        &format!("{:?}", step.action),
                    ),
                    None => request,
                }
            };

            // A dry run must give the same reply as the real request after it. Only one
            // of the stores gets it, so that a side effect would show.
            let store: &dyn Store =
                if results.len().is_multiple_of(2) { &self.memory } else { self.file() };
            let dry_run = step
                .key
                .is_none()
                .then(|| store.execute(Request { dry_run: true, ..request() }));
            // What is decided apart lets later requests of the other shop pass.
            let mut pending = self.file().execute(request());
            if matches!(action, Action::PublishProgram { .. } | Action::RescheduleDue { .. }) {
                pending = Pending::ready(pending.wait());
            }
            results.push((self.memory.execute(request()).wait(), pending, dry_run));
            self.sent.push(step);
        }

        let sent = self.sent.iter().rev().take(requests.len()).rev();
        for ((expected, pending, dry_run), request) in results.into_iter().zip(sent) {
            let expected = format!("{expected:?}");
            if let Some(dry_run) = dry_run {
                prop_assert_eq!(
                    format!("{:?}", dry_run.wait()),
                    expected.clone(),
                    "dry run: {:?}",
                    request
                );
            }
            prop_assert_eq!(format!("{:?}", pending.wait()), expected, "{:?}", request);
        }
        Ok(())
    }

    /// The action with real ids, and with the current entity tag (`expected_current` is true)
    /// or a stale one.
    fn resolve_request(&self, request: &StepRequest) -> Action {
        let mut action = request.action.clone();
        if let (Action::Customer { if_match, customer, .. }, Some(current)) =
            (&mut action, request.expected_current)
        {
            let existing = self.memory.customer(self.shops[request.shop], customer).unwrap();
            *if_match = Some(
                existing
                    .filter(|_| current)
                    .map_or("\"1-1\"".to_owned(), |customer| customer.etag()),
            );
        }

        let redemptions = self.redemptions(self.shops[request.shop]);
        let redemption = |number: i64| redemptions.get(usize::try_from(number).unwrap());
        if let Action::Redemption(
            RedemptionAction::Cancel { id } | RedemptionAction::Use { id, .. },
        ) = &mut action
        {
            *id = redemption(id.0).map_or(RedemptionId(999), RedemptionView::id);
        }

        if let Action::Order { command: Command::RecordOrder { snapshot, .. }, .. } = &mut action {
            for code in &mut Arc::make_mut(snapshot).codes {
                let number = code
                    .as_str()
                    .strip_prefix("redemption ")
                    .and_then(|number| number.parse().ok());
                let issued = number
                    .and_then(redemption)
                    .and_then(|view| view.redemption.issue().code.clone());
                *code = issued.unwrap_or_else(|| code.clone());
            }
        }

        if let Action::Discount(action) = &mut action {
            self.resolve_discount(action, self.shops[request.shop]);
        }
        action
    }

    /// All redemptions of a shop, the newest of each customer first.
    fn redemptions(&self, shop: ShopId) -> Vec<RedemptionView> {
        let customers =
            loyalty_store::conformance::contents::all_customers(&self.memory, shop).into_iter();
        let accounts = customers.map(|customer| customer.record().account);
        accounts
            .flat_map(|account| self.memory.redemptions(shop, account, None, 1_000).unwrap().items)
            .collect()
    }

    fn resolve_discount(&self, action: &mut DiscountAction, shop: ShopId) {
        let rules = self.memory.price_rules(shop, None, 4).unwrap().items;
        let rule = |id: &mut PriceRuleId| {
            let index = usize::try_from(id.0).unwrap();
            *id = rules.get(index).map_or(PriceRuleId(999), |rule| rule.id);
        };
        match action {
            DiscountAction::SaveRule { id: Some(id), .. }
            | DiscountAction::ChangeRule { id, .. }
            | DiscountAction::DeleteRule { id, .. } => rule(id),
            DiscountAction::AddCode { rule: of, .. }
            | DiscountAction::AddCodes { rule: of, .. } => rule(of),
            DiscountAction::ChangeCode { rule: of, code, .. }
            | DiscountAction::RemoveCode { rule: of, code } => {
                rule(of);
                let index = usize::try_from(code.0).unwrap();
                let codes = self.memory.codes(shop, *of, None, 4).unwrap().items;
                *code = codes.get(index).map_or(CodeId(999), |code| code.id);
            }
            DiscountAction::Reserve { until, .. } => {
                *until = hours(self.elapsed_hours.max(0))
                    + until.signed_duration_since(Timestamp::UNIX_EPOCH);
            }
            _ => {}
        }
    }

    fn compare_stores(&self) -> Result<(), TestCaseError> {
        assert_consistent(self.file());
        prop_assert_eq!(self.file().shops_to_reschedule(), self.memory.shops_to_reschedule());
        prop_assert_eq!(StoreContents::read(self.file()), StoreContents::read(&self.memory));

        for shop in &self.shops {
            for order in (0..5).map(|number| order_id(&format!("o{number}"))) {
                prop_assert_eq!(self.file().order(*shop, &order), self.memory.order(*shop, &order));
                let used = self.file().codes_used_by_order(*shop, &order);
                prop_assert_eq!(used, self.memory.codes_used_by_order(*shop, &order));
            }

            for checkout in ["k1", "k2"].map(|id| CheckoutId::new(id).unwrap()) {
                let now = hours(self.elapsed_hours.max(0));
                let reserved = self.file().checkout(*shop, &checkout, now);
                prop_assert_eq!(reserved, self.memory.checkout(*shop, &checkout, now));
            }

            for text in ["a", "b", "c", "strasse"].map(discount_code) {
                let code = self.file().code_by_text(*shop, &text);
                prop_assert_eq!(code, self.memory.code_by_text(*shop, &text));
            }

            for query in SEARCHES {
                let query =
                    SearchQuery::parse(query, hours(self.elapsed_hours.max(0)), Zone::UTC).unwrap();
                let found = |store: &dyn Store| {
                    let page = store.customers(*shop, &query, None, 2).unwrap();
                    let accounts = page.items.iter().map(|customer| customer.record().account);
                    let count = store.count_customers(*shop, &query).unwrap();
                    (accounts.collect::<Vec<_>>(), page.has_more, count)
                };
                prop_assert_eq!(found(self.file()), found(&self.memory), "{}", query.text());
            }

            for version in (1..9).map(|version| Some(ProgramVersion(version))) {
                prop_assert_eq!(
                    self.file().program(*shop, version),
                    self.memory.program(*shop, version)
                );
            }
        }
        Ok(())
    }
}

fn settings() -> impl Strategy<Value = StoreSettings> {
    let sizes = (select(&[0, 16, 100_000_usize][..]), select(&[0, 1, 4, 8_192_usize][..]));
    sizes.prop_map(|(cached_records, write_behind)| {
        let mut settings = StoreSettings::default();
        (settings.cached_records, settings.write_behind_threshold) = (cached_records, write_behind);
        settings
    })
}

#[test]
fn memory_and_file_give_the_same_results() {
    let mut runner =
        TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let result = runner.run(&(settings(), steps()), |(settings, steps)| {
        let mut pair = StorePair::new(&settings);
        for step in &steps {
            pair.run_step(step)?;
        }
        pair.run_step(&Step::Crash)?;
        assert_consistent(&pair.memory);
        pair.compare_stores()
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// A published program is read back unchanged.
#[test]
fn every_program_round_trips_through_json() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    let mut runner =
        TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });

    let published = runner.run(
        &prop_oneof![programs(), expiring_programs(), full_programs()],
        |program: Program| {
            let action =
                Action::PublishProgram { program: Box::new(program.clone()), replaces: None };
            let version = shop.execute(action).unwrap().program;
            let reader = rusqlite::Connection::open(database.file()).unwrap();
            let sql = "SELECT body FROM program WHERE shop = ? AND version = ?";
            let body: String = reader
                .query_row(sql, (shop.id.0, version.unwrap().0), |row| row.get(0))
                .unwrap();
            prop_assert_eq!(Program::from_json(&body), Ok(program));
            Ok(())
        },
    );
    published.unwrap_or_else(|error| panic!("{error}"));
}

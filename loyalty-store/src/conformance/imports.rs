//! Cases for imports: rows, progress, reports, and the undoing.

use super::test_shop::*;
use crate::{
    Action, CustomerRef, FieldChange, ImportAction, ImportContent, ImportFault, ImportOutcome,
    ImportRow, ImportRowOutcome, ImportSettings, ImportState, ProfileChange, Store,
};
use loyalty_core::{ImportId, ImportMode, ImportedEnd, ImportedLot, ManualTier, Points, TierId};

/// An import of a shop.
struct Import<'a> {
    shop: TestShop<'a>,
    id: ImportId,
}

impl<'a> Import<'a> {
    fn begin(shop: TestShop<'a>, id: &str, settings: ImportSettings) -> Self {
        let import = Self { shop, id: ImportId::new(id).unwrap() };
        let begun = import.act(begin("content", settings)).unwrap();
        assert_eq!(begun.record.unwrap().state, ImportState::Running);
        import
    }

    fn act(&self, action: ImportAction) -> Result<ImportOutcome, crate::Rejection> {
        let receipt = self.shop.execute(Action::Import(self.id.clone(), action))?;
        Ok(receipt.import.unwrap())
    }

    fn row(&self, after: u64, row: ImportRow) -> ImportRowOutcome {
        let outcome = self.act(ImportAction::Row { after, row }).unwrap();
        outcome.row.unwrap().outcome.clone()
    }

    fn last_line(&self) -> u64 {
        let record = self.shop.store.import(self.shop.id, &self.id).unwrap();
        record.unwrap().last_line
    }

    /// Undoes all rows and returns what was taken back for each.
    fn undo(&self) -> Vec<Points> {
        self.act(ImportAction::BeginUndo).unwrap();
        let rows = self
            .shop
            .store
            .import_rows(self.shop.id, &self.id, 0, false, 1_000)
            .unwrap();
        let mut after = 0;
        let taken = rows.iter().map(|row| {
            let undone = ImportAction::UndoRow { after, row: Box::new((**row).clone()) };
            after = row.line;
            self.act(undone).unwrap().row.unwrap().taken_back.unwrap()
        });
        let taken = taken.collect();
        self.act(ImportAction::FinishUndo).unwrap();
        taken
    }
}

fn begin(digest: &str, settings: ImportSettings) -> ImportAction {
    ImportAction::Begin { digest: digest.to_owned(), settings }
}

fn lot(points: i64, end: ImportedEnd) -> ImportedLot {
    let earned_at = Some(at("2025-06-01T00:00:00Z"));
    ImportedLot { points: Points::new(points).unwrap(), earned_at, end }
}

fn row(line: u64, customer: CustomerRef, lots: Vec<ImportedLot>) -> ImportRow {
    let content = ImportContent {
        customer,
        change: ProfileChange::default(),
        lots: Some(lots),
        tier: None,
    };
    ImportRow { line, content: Ok(Box::new(content)) }
}

fn refused(code: &str) -> ImportRowOutcome {
    ImportRowOutcome::Refused(ImportFault { code: code.to_owned(), column: None })
}

pub fn an_import_creates_customers_with_lots(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(
        r#"{"tiers": [{"id": "gold", "name": "Gold", "multiplier": "2"}],
            "actions": [{"id": "welcome", "kind": "sign_up", "points": 50}]}"#,
    ))
    .unwrap();
    let import = Import::begin(shop, "smile", ImportSettings::default());
    let end = at("2026-06-01T00:00:00Z");
    let content = ImportContent {
        customer: id_and_email("1", "ada@example.com"),
        change: ProfileChange {
            first_name: FieldChange::Set(Some("Ada".to_owned())),
            ..ProfileChange::default()
        },
        lots: Some(vec![lot(70, ImportedEnd::At(end)), lot(30, ImportedEnd::Never)]),
        tier: Some(ManualTier { id: TierId::new("gold").unwrap(), until: Some(end) }),
    };
    let first = ImportRow { line: 2, content: Ok(Box::new(content)) };
    assert_eq!(import.row(0, first), ImportRowOutcome::Created);

    let customer = shop.customer(&email("ada@example.com"));
    assert_eq!(customer.balance(shop.now).get(), 100, "without points for signing up");
    assert_eq!(customer.balance(end).get(), 30);
    assert_eq!(customer.tier(shop.now).unwrap().id.to_string(), "gold");
    assert_eq!(customer.record().profile.first_name.as_deref(), Some("Ada"));
    let lots: Vec<_> = customer.account().lots().iter().cloned().collect();
    assert_eq!(lots[0].earned_at, at("2025-06-01T00:00:00Z"));
    assert_eq!(
        lots.iter().map(|lot| lot.import.clone()).collect::<Vec<_>>(),
        [Some(import.id.clone()), Some(import.id.clone())]
    );

    let signs_up = ImportSettings { signs_up: true, ..ImportSettings::default() };
    let other = Import::begin(shop, "more", signs_up);
    other.row(0, row(2, id("2"), vec![lot(5, ImportedEnd::Never)]));
    assert_eq!(shop.balance(&id("2")), 55);
    assert_eq!(store.imports(shop.id, None, 10).unwrap().len(), 2);
    let after = store.imports(shop.id, Some(&other.id), 10).unwrap();
    assert_eq!(after.iter().map(|import| import.id.as_str()).collect::<Vec<_>>(), ["smile"]);
}

pub fn each_row_of_an_import_counts_once(store: &dyn Store) {
    let shop = TestShop::new(store);
    let import = Import::begin(shop, "smile", ImportSettings::default());
    let points = || vec![lot(10, ImportedEnd::Never)];
    import.row(0, row(2, id("1"), points()));
    for (after, line) in [(0, 2), (0, 3), (1, 2), (3, 4), (2, 2), (2, 1)] {
        let again = ImportAction::Row { after, row: row(line, id("1"), points()) };
        assert_eq!(import.act(again).unwrap_err().code(), "import_row_not_next", "{after} {line}");
    }
    assert_eq!((shop.balance(&id("1")), import.last_line()), (10, 2));

    // The same import again continues; another content under its id does not.
    let same = import.act(begin("content", ImportSettings::default())).unwrap();
    assert_eq!(same.record.unwrap().last_line, 2);
    let other = ImportSettings { mode: ImportMode::Reset, ..ImportSettings::default() };
    for action in [begin("other", ImportSettings::default()), begin("content", other)] {
        assert_eq!(import.act(action).unwrap_err().code(), "import_id_reused");
    }

    import.act(ImportAction::Finish).unwrap();
    let late = ImportAction::Row { after: 2, row: row(3, id("2"), points()) };
    assert_eq!(import.act(late).unwrap_err().code(), "import_row_not_next");
    let unknown = Import { shop, id: ImportId::new("unknown").unwrap() };
    assert_eq!(unknown.act(ImportAction::Finish).unwrap_err().code(), "import_not_found");
}

pub fn a_refused_row_changes_nothing_but_the_report(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&id_and_email("9", "taken@example.com"), vec![])
        .unwrap();
    let import = Import::begin(shop, "smile", ImportSettings::default());
    let never = || vec![lot(10, ImportedEnd::Never)];
    let future = ImportedLot {
        earned_at: Some(at("2027-01-01T00:00:00Z")),
        ..never().remove(0)
    };
    let gone = lot(10, ImportedEnd::At(at("2025-12-31T00:00:00Z")));
    let unreadable = ImportFault {
        code: "invalid_points".to_owned(),
        column: Some("points".to_owned()),
    };
    import.row(0, row(2, id("1"), never()));
    for (line, content, outcome) in [
        (3, row(3, id("1"), never()), refused("duplicate_customer")),
        (4, row(4, id("2"), vec![future]), refused("points_in_future")),
        (5, row(5, id("2"), vec![never().remove(0), gone]), refused("points_expired")),
        (6, row(6, id("2"), vec![lot(0, ImportedEnd::Never)]), refused("invalid_points")),
        (
            7,
            row(7, id_and_email("2", "taken@example.com"), never()),
            refused("email_taken"),
        ),
        (
            8,
            ImportRow { line: 8, content: Err(unreadable.clone()) },
            ImportRowOutcome::Refused(unreadable),
        ),
    ] {
        assert_eq!(import.row(line - 1, content), outcome);
    }

    assert!(store.customer(shop.id, &id("2")).unwrap().is_none());
    assert_eq!(shop.balance(&id("1")), 10);
    let rows = store.import_rows(shop.id, &import.id, 3, true, 2).unwrap();
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [4, 5]);
    let counts = store.import(shop.id, &import.id).unwrap().unwrap().counts;
    assert_eq!((counts.created, counts.refused, counts.rows()), (1, 6, 7));
    assert_eq!(counts.brought.get(), 10);
}

pub fn a_row_is_tried_without_effect(store: &dyn Store) {
    let shop = TestShop::new(store);
    let import = Import { shop, id: ImportId::new("smile").unwrap() };
    for (points, outcome) in [(10, ImportRowOutcome::Created), (0, refused("invalid_points"))] {
        let row = row(2, id("1"), vec![lot(points, ImportedEnd::Never)]);
        let tried = ImportAction::TryRow { settings: ImportSettings::default(), row };
        let tried = import.act(tried).unwrap();
        assert_eq!((tried.record, &tried.row.unwrap().outcome), (None, &outcome));
    }
    assert!(store.customer(shop.id, &id("1")).unwrap().is_none());
    assert!(store.import(shop.id, &import.id).unwrap().is_none());
}

pub fn the_mode_decides_over_points_that_are_there(store: &dyn Store) {
    let shop = TestShop::new(store);
    let all = [
        (ImportMode::Add, 140, ImportRowOutcome::Updated),
        (ImportMode::Reset, 100, ImportRowOutcome::Updated),
        (ImportMode::Skip, 40, ImportRowOutcome::Skipped),
    ];
    for (number, (mode, balance, outcome)) in all.into_iter().enumerate() {
        let repeats_customers = mode != ImportMode::Reset;
        let settings = ImportSettings { mode, repeats_customers, ..Default::default() };
        let import = Import::begin(shop, &format!("import {number}"), settings);
        let (known, new) = (id(&format!("known {number}")), id(&format!("new {number}")));
        shop.execute_commands(&known, vec![add(40)]).unwrap();
        let half = || lot(50, ImportedEnd::Never);
        let rows = if repeats_customers { vec![vec![half()]; 2] } else { vec![vec![half(); 2]] };
        let mut after = 0;
        for customer in [&known, &new] {
            for lots in &rows {
                let is = import.row(after, row(after + 1, customer.clone(), lots.clone()));
                assert!(customer == &new || is == outcome, "{mode:?}");
                after += 1;
            }
        }
        assert_eq!((shop.balance(&known), shop.balance(&new)), (balance, 100), "{mode:?}");

        import.undo();
        assert_eq!((shop.balance(&known), shop.balance(&new)), (40, 0), "{mode:?} undone");
    }

    let settings = ImportSettings {
        mode: ImportMode::Reset,
        repeats_customers: true,
        ..Default::default()
    };
    let import = Import { shop, id: ImportId::new("both").unwrap() };
    let refused = import.act(begin("content", settings)).unwrap_err();
    assert_eq!(refused.code(), "import_mode_unsupported");
}

pub fn an_import_is_undone_by_what_is_left(store: &dyn Store) {
    let shop = TestShop::new(store);
    let import = Import::begin(shop, "smile", ImportSettings::default());
    let end = ImportedEnd::At(at("2026-06-01T00:00:00Z"));
    for (after, line, customer) in [(0, 2, "1"), (2, 3, "2"), (3, 4, "3")] {
        let lots = vec![lot(60, end), lot(40, ImportedEnd::Never)];
        import.row(after, row(line, id(customer), lots));
    }
    import.act(ImportAction::Finish).unwrap();
    // One has spent, one has earned and spent, one has earned.
    shop.execute_commands(&id("1"), vec![subtract(70)]).unwrap();
    shop.execute_commands(&id("2"), vec![add(50), subtract(120)]).unwrap();
    shop.execute_commands(&id("3"), vec![add(50)]).unwrap();

    let taken: Vec<_> = import.undo().into_iter().map(Points::get).collect();
    assert_eq!(taken, [30, 0, 100]);
    let balances = ["1", "2", "3"].map(|customer| shop.balance(&id(customer)));
    assert_eq!(balances, [0, 30, 50], "what was spent stays spent, and nobody owes");
    let record = store.import(shop.id, &import.id).unwrap().unwrap();
    assert_eq!((record.state, record.counts.taken_back.get()), (ImportState::Undone, 130));

    // Repeated, it has no effect; and the id is used up.
    assert_eq!(import.act(ImportAction::BeginUndo).unwrap().record.unwrap(), record);
    let rows = store.import_rows(shop.id, &import.id, 0, false, 1).unwrap();
    let again = ImportAction::UndoRow { after: 0, row: Box::new((*rows[0]).clone()) };
    assert_eq!(import.act(again).unwrap_err().code(), "import_row_not_next");
    let begun = import.act(begin("content", ImportSettings::default())).unwrap();
    assert_eq!(begun.record.unwrap().state, ImportState::Undone);
}

pub fn a_reset_is_undone_with_what_it_took(store: &dyn Store) {
    let shop = TestShop::new(store);
    let settings = ImportSettings { mode: ImportMode::Reset, ..Default::default() };
    let import = Import::begin(shop, "smile", settings);
    for (after, line, customer) in [(0, 2, "1"), (2, 3, "2"), (3, 4, "3")] {
        shop.execute_commands(&id(customer), vec![add(40)]).unwrap();
        import.row(after, row(line, id(customer), vec![lot(50, ImportedEnd::Never)]));
    }
    shop.execute_commands(&id("2"), vec![subtract(20)]).unwrap();
    shop.execute_commands(&id("3"), vec![subtract(50)]).unwrap();
    import.undo();
    let balances = ["1", "2", "3"].map(|customer| shop.balance(&id(customer)));
    assert_eq!(balances, [40, 20, 0], "as if they had spent what they had before");
}

pub fn imported_lots_stay_apart_through_a_merge(store: &dyn Store) {
    let shop = TestShop::new(store);
    let import = Import::begin(shop, "smile", ImportSettings::default());
    import.row(0, row(2, id("1"), vec![lot(50, ImportedEnd::Never)]));
    shop.execute_commands(&id("1"), vec![add(7)]).unwrap();
    shop.execute_commands(&id("2"), vec![add(5)]).unwrap();
    shop.execute(Action::MergeCustomers { customer: id("2"), from: id("1") })
        .unwrap();
    assert_eq!(shop.balance(&id("2")), 62);
    import.undo();
    assert_eq!(shop.balance(&id("2")), 12);
}

pub fn an_import_belongs_to_one_shop(store: &dyn Store) {
    let (shop, other) = (TestShop::new(store), TestShop::new(store));
    let import = Import::begin(shop, "smile", ImportSettings::default());
    import.row(0, row(2, id("1"), vec![lot(50, ImportedEnd::Never)]));
    assert!(store.import(other.id, &import.id).unwrap().is_none());
    assert!(store.imports(other.id, None, 10).unwrap().is_empty());
    assert!(
        store
            .import_rows(other.id, &import.id, 0, false, 10)
            .unwrap()
            .is_empty()
    );
    let theirs = Import { shop: other, id: import.id.clone() };
    assert_eq!(theirs.act(ImportAction::BeginUndo).unwrap_err().code(), "import_not_found");
}

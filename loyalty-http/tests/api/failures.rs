//! Responses when the store fails, hangs or panics.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use loyalty_core::account::Usage;
use loyalty_core::discount::Code;
use loyalty_core::{
    AccountId, CategoryId, CheckoutId, CodeId, ImportId, OrderId, PriceRuleId, Program,
    ProgramVersion, RedemptionId, RewardId, ShopId, Timestamp, VariantId,
};
use loyalty_http::Config;
use loyalty_store::{
    AdminReply, AdminRequest, ApiKeyRecord, CartFacts, CartQuery, Catalogue, CategoryRecord,
    CheckoutView, CodeBatch, CodeView, CustomerRef, CustomerView, DayTotals, Deliveries, Delivery,
    DeliveryCounts, DeliveryNote, Destination, DestinationId, DestinationProgress, Discounts,
    DueAccount, Erasure, EventPosition, Failure, ImportRecord, ImportRowRecord, Imports,
    Integration, JournalId, JournalPage, JournalRow, KeyOwner, MemoryStore, NewShop, NumericId,
    OrderList, OrderRecord, OrderStatus, Orders, Page, Pending, PriceRuleView, ProductRecord,
    ProductRef, RedemptionStatus, RedemptionView, Redemptions, Request, SavedSearch, SearchQuery,
    Seq, Shop, Store, StoreSecret, VerificationReport,
};

use tokio::sync::watch;

use crate::support::{TestResponse, TestServer};

/// The behaviour of the store, except for shops and keys.
#[derive(Clone, Copy, Debug)]
enum StoreFault {
    Busy,
    Corrupt,
    Hangs,
    Panics,
    /// A count goes on until it is cancelled.
    Scans,
    Unavailable,
    Unknown,
}

impl StoreFault {
    fn failure(self) -> Failure {
        let text = || "page 7 of /var/lib/loyalty.db".to_owned();
        match self {
            Self::Busy | Self::Scans => Failure::Busy,
            Self::Corrupt => Failure::Corrupt(text()),
            Self::Unavailable => Failure::Unavailable(text()),
            Self::Unknown => Failure::UnknownOutcome(text()),
            Self::Panics => panic!("on purpose"),
            Self::Hangs => {
                std::thread::sleep(Duration::from_millis(700));
                Failure::Busy
            }
        }
    }
}

struct FaultyStore {
    inner: Arc<MemoryStore>,
    fault: Mutex<StoreFault>,
    /// The senders of replies that are never sent.
    hung: Mutex<Vec<Box<dyn std::any::Any + Send>>>,
    scans_ended: Arc<AtomicUsize>,
}

impl FaultyStore {
    fn failure(&self) -> Failure {
        let fault = *self.fault.lock().unwrap();
        fault.failure()
    }
}

impl Catalogue for FaultyStore {
    fn product(&self, _: ShopId, _: &ProductRef) -> Result<Option<Arc<ProductRecord>>, Failure> {
        Err(self.failure())
    }

    fn variant_number(&self, _: ShopId, _: &VariantId) -> Result<Option<NumericId>, Failure> {
        Err(self.failure())
    }

    fn variant_by_number(&self, _: ShopId, _: NumericId) -> Result<Option<VariantId>, Failure> {
        Err(self.failure())
    }

    fn products(
        &self,
        _: ShopId,
        _: Option<NumericId>,
        _: usize,
    ) -> Result<Page<Arc<ProductRecord>>, Failure> {
        Err(self.failure())
    }

    fn count_products(&self, _: ShopId) -> Result<u64, Failure> {
        Err(self.failure())
    }

    fn category(&self, _: ShopId, _: &CategoryId) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        Err(self.failure())
    }

    fn categories(
        &self,
        _: ShopId,
        _: Option<&CategoryId>,
        _: usize,
    ) -> Result<Page<Arc<CategoryRecord>>, Failure> {
        Err(self.failure())
    }

    fn count_categories(&self, _: ShopId) -> Result<u64, Failure> {
        Err(self.failure())
    }

    fn saved_search(&self, _: ShopId, _: NumericId) -> Result<Option<Arc<SavedSearch>>, Failure> {
        Err(self.failure())
    }

    fn saved_searches(
        &self,
        _: ShopId,
        _: Option<NumericId>,
        _: usize,
    ) -> Result<Page<Arc<SavedSearch>>, Failure> {
        Err(self.failure())
    }

    fn count_saved_searches(&self, _: ShopId) -> Result<u64, Failure> {
        Err(self.failure())
    }
}

impl Deliveries for FaultyStore {
    fn destinations(&self, _: ShopId) -> Result<Vec<Destination>, Failure> {
        Err(self.failure())
    }

    fn all_destinations(&self) -> Result<Vec<Destination>, Failure> {
        Err(self.failure())
    }

    fn destinations_revision(&self) -> Result<i64, Failure> {
        Err(self.failure())
    }

    fn destination_progress(
        &self,
        _: ShopId,
        _: DestinationId,
    ) -> Result<Option<DestinationProgress>, Failure> {
        Err(self.failure())
    }

    fn deliveries(
        &self,
        _: ShopId,
        _: DestinationId,
        _: bool,
        _: Option<EventPosition>,
        _: usize,
    ) -> Result<Vec<Delivery>, Failure> {
        Err(self.failure())
    }

    fn delivery(
        &self,
        _: ShopId,
        _: DestinationId,
        _: EventPosition,
    ) -> Result<Option<Delivery>, Failure> {
        Err(self.failure())
    }

    fn count_deliveries(&self, _: ShopId, _: DestinationId) -> Result<DeliveryCounts, Failure> {
        Err(self.failure())
    }

    fn note_deliveries(&self, _: &[DeliveryNote]) -> Result<(), Failure> {
        Err(self.failure())
    }
}

impl Discounts for FaultyStore {
    fn price_rule(&self, _: ShopId, _: PriceRuleId) -> Result<Option<PriceRuleView>, Failure> {
        Err(self.failure())
    }

    fn price_rules(
        &self,
        _: ShopId,
        _: Option<PriceRuleId>,
        _: usize,
    ) -> Result<Page<PriceRuleView>, Failure> {
        Err(self.failure())
    }

    fn count_price_rules(&self, _: ShopId) -> Result<u64, Failure> {
        Err(self.failure())
    }

    fn code(&self, _: ShopId, _: CodeId) -> Result<Option<CodeView>, Failure> {
        Err(self.failure())
    }

    fn code_by_text(&self, _: ShopId, _: &Code) -> Result<Option<CodeView>, Failure> {
        Err(self.failure())
    }

    fn codes(
        &self,
        _: ShopId,
        _: PriceRuleId,
        _: Option<CodeId>,
        _: usize,
    ) -> Result<Page<CodeView>, Failure> {
        Err(self.failure())
    }

    fn count_codes(&self, _: ShopId, _: PriceRuleId) -> Result<u64, Failure> {
        Err(self.failure())
    }

    fn code_batch(&self, _: ShopId, _: Seq) -> Result<Option<CodeBatch>, Failure> {
        Err(self.failure())
    }

    fn checkout(&self, _: ShopId, _: &CheckoutId, _: Timestamp) -> Result<CheckoutView, Failure> {
        Err(self.failure())
    }

    fn cart_facts(&self, _: ShopId, _: CartQuery) -> Result<CartFacts, Failure> {
        Err(self.failure())
    }

    fn codes_used_by_order(&self, _: ShopId, _: &OrderId) -> Result<Vec<CodeView>, Failure> {
        Err(self.failure())
    }

    fn rules_used_by_order(&self, _: ShopId, _: &OrderId) -> Result<Vec<PriceRuleId>, Failure> {
        Err(self.failure())
    }
}

impl Imports for FaultyStore {
    fn import(&self, _: ShopId, _: &ImportId) -> Result<Option<Arc<ImportRecord>>, Failure> {
        Err(self.failure())
    }

    fn imports(
        &self,
        _: ShopId,
        _: Option<&ImportId>,
        _: usize,
    ) -> Result<Vec<Arc<ImportRecord>>, Failure> {
        Err(self.failure())
    }

    fn import_rows(
        &self,
        _: ShopId,
        _: &ImportId,
        _: u64,
        _: bool,
        _: usize,
    ) -> Result<Vec<Arc<ImportRowRecord>>, Failure> {
        Err(self.failure())
    }
}

impl Orders for FaultyStore {
    fn orders(
        &self,
        _: ShopId,
        _: Option<OrderStatus>,
        _: &OrderList,
        _: usize,
    ) -> Result<Page<Arc<OrderRecord>>, Failure> {
        Err(self.failure())
    }

    fn customer_orders(
        &self,
        _: ShopId,
        _: AccountId,
        _: &OrderList,
        _: usize,
    ) -> Result<Page<Arc<OrderRecord>>, Failure> {
        Err(self.failure())
    }
}

impl Redemptions for FaultyStore {
    fn redemption(&self, _: ShopId, _: RedemptionId) -> Result<Option<RedemptionView>, Failure> {
        Err(self.failure())
    }

    fn redemptions(
        &self,
        _: ShopId,
        _: AccountId,
        _: Option<RedemptionId>,
        _: usize,
    ) -> Result<Page<RedemptionView>, Failure> {
        Err(self.failure())
    }

    fn shop_redemptions(
        &self,
        _: ShopId,
        _: Option<(RedemptionStatus, Timestamp)>,
        _: Option<RedemptionId>,
        _: usize,
    ) -> Result<Page<RedemptionView>, Failure> {
        Err(self.failure())
    }

    fn reward_usage(&self, _: ShopId, _: &RewardId) -> Result<Option<Usage>, Failure> {
        Err(self.failure())
    }
}

impl Store for FaultyStore {
    fn execute(&self, _: Request) -> Pending {
        let fault = *self.fault.lock().unwrap();
        if matches!(fault, StoreFault::Hangs) {
            let (sender, pending) = Pending::channel();
            self.hung.lock().unwrap().push(Box::new(sender));
            return pending;
        }
        Pending::ready(Err(fault.failure()))
    }

    fn stored_response(
        &self,
        _: ShopId,
        _: &[u8; 16],
        _: &[u8; 16],
        _: Timestamp,
    ) -> Result<Option<loyalty_store::Response>, Failure> {
        Err(self.failure())
    }

    fn customer(&self, _: ShopId, _: &CustomerRef) -> Result<Option<CustomerView>, Failure> {
        Err(self.failure())
    }

    fn customer_by_account(
        &self,
        _: ShopId,
        _: AccountId,
    ) -> Result<Option<CustomerView>, Failure> {
        Err(self.failure())
    }

    fn customers(
        &self,
        _: ShopId,
        _: &SearchQuery,
        _: Option<AccountId>,
        _: usize,
    ) -> Result<Page<CustomerView>, Failure> {
        Err(self.failure())
    }

    fn count_customers(&self, shop: ShopId, search: &SearchQuery) -> Result<u64, Failure> {
        let mut counted = Err(self.failure());
        let begun = Instant::now();
        // Longer than the test waits. It ends, so that a failed test ends too.
        while matches!(*self.fault.lock().unwrap(), StoreFault::Scans)
            && begun.elapsed() < Duration::from_secs(10)
        {
            std::thread::sleep(Duration::from_millis(5));
            counted = self.inner.count_customers(shop, search);
            if counted == Err(Failure::Cancelled) {
                self.scans_ended.fetch_add(1, Ordering::SeqCst);
                break;
            }
        }
        counted
    }

    fn order(&self, _: ShopId, _: &OrderId) -> Result<Option<Arc<OrderRecord>>, Failure> {
        Err(self.failure())
    }

    fn account_journal(
        &self,
        _: ShopId,
        _: AccountId,
        _: Option<Seq>,
        _: usize,
    ) -> Result<JournalPage, Failure> {
        Err(self.failure())
    }

    fn journal(&self, _: ShopId, _: Seq, _: usize) -> Result<Vec<Arc<JournalRow>>, Failure> {
        Err(self.failure())
    }

    fn journal_of_all(&self, _: Seq, _: usize) -> Result<Vec<Arc<JournalRow>>, Failure> {
        Err(self.failure())
    }

    fn journal_id(&self) -> Result<JournalId, Failure> {
        Err(self.failure())
    }

    fn committed_position(&self) -> watch::Receiver<Seq> {
        self.inner.committed_position()
    }

    fn customer_at(
        &self,
        _: ShopId,
        _: AccountId,
        _: Timestamp,
    ) -> Result<Option<CustomerView>, Failure> {
        Err(self.failure())
    }

    fn due(
        &self,
        _: Timestamp,
        _: Option<DueAccount>,
        _: usize,
    ) -> Result<Vec<DueAccount>, Failure> {
        Err(self.failure())
    }

    fn day_totals(
        &self,
        _: ShopId,
        _: RangeInclusive<NaiveDate>,
    ) -> Result<Vec<(NaiveDate, Arc<DayTotals>)>, Failure> {
        Err(self.failure())
    }

    fn unfinished_erasures(&self) -> Result<Vec<Arc<Erasure>>, Failure> {
        Err(self.failure())
    }

    fn finish_erasure(&self, _: &Erasure, _: Timestamp) -> Result<bool, Failure> {
        Err(self.failure())
    }

    fn shops_to_reschedule(&self) -> Result<Vec<ShopId>, Failure> {
        Err(self.failure())
    }

    fn program(
        &self,
        _: ShopId,
        _: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        Err(self.failure())
    }

    fn verify(&self) -> Result<VerificationReport, Failure> {
        self.inner.verify()
    }

    fn check_ready(&self) -> Result<(), Failure> {
        Err(self.failure())
    }

    fn create_shop(&self, shop: &NewShop, now: Timestamp) -> Result<Arc<Shop>, Failure> {
        self.inner.create_shop(shop, now)
    }

    fn shop(&self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        self.inner.shop(shop)
    }

    fn shops(&self) -> Result<Vec<Arc<Shop>>, Failure> {
        self.inner.shops()
    }

    fn administer(&self, request: AdminRequest) -> Result<AdminReply, Failure> {
        self.inner.administer(request)
    }

    fn api_keys(&self, owner: KeyOwner) -> Result<Vec<ApiKeyRecord>, Failure> {
        self.inner.api_keys(owner)
    }

    fn note_key_use(&self, key: &ApiKeyRecord, now: Timestamp) {
        self.inner.note_key_use(key, now);
    }

    fn write_key_uses(&self) -> Result<(), Failure> {
        self.inner.write_key_uses()
    }

    fn store_secrets(&self, shop: ShopId) -> Result<Arc<[StoreSecret]>, Failure> {
        self.inner.store_secrets(shop)
    }

    fn api_key(&self, id: &str) -> Result<Option<Arc<ApiKeyRecord>>, Failure> {
        self.inner.api_key(id)
    }

    fn record_integration(
        &self,
        shop: ShopId,
        integration: &Integration,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.inner.record_integration(shop, integration, now)
    }
}

fn faulty_server(fault: StoreFault) -> TestServer {
    counting_server(fault, &Arc::default())
}

fn counting_server(fault: StoreFault, scans_ended: &Arc<AtomicUsize>) -> TestServer {
    patient_server(Duration::from_millis(200), fault, scans_ended)
}

/// A server that waits for its store for a time.
fn patient_server(
    store_timeout: Duration,
    fault: StoreFault,
    scans_ended: &Arc<AtomicUsize>,
) -> TestServer {
    let config = Config { store_timeout, ..Config::default() };
    TestServer::with_store(config, |inner| {
        Arc::new(FaultyStore {
            inner,
            fault: Mutex::new(fault),
            hung: Mutex::default(),
            scans_ended: Arc::clone(scans_ended),
        })
    })
}

fn summarize(answer: &TestResponse) -> (u16, String, Option<String>) {
    assert!(
        !answer.text().contains("loyalty.db") && !answer.text().contains("purpose"),
        "{}",
        answer.text()
    );
    let (status, code, _) = answer.problem();
    (status, code, answer.header("retry-after").map(str::to_owned))
}

/// A lookup, a list, and a write without and with an idempotency key.
fn ask(server: &TestServer) -> [TestResponse; 4] {
    let body = r#"{"customer_id":"1","points":5}"#;
    [
        server.get("/v1/customers/1/point-balance"),
        server.get("/v1/customers"),
        server.post("/v1/points-add", body),
        server
            .request("POST", "/v1/points-add")
            .body(body)
            .idempotency_key("k")
            .send(),
    ]
}

#[test]
fn failures_show_only_if_a_retry_can_help() {
    for (fault, status, code, retry) in [
        (StoreFault::Busy, 503, "unavailable", Some("1")),
        (StoreFault::Unavailable, 503, "unavailable", Some("1")),
        (StoreFault::Unknown, 503, "outcome_unknown", Some("1")),
        (StoreFault::Corrupt, 500, "internal", None),
        (StoreFault::Panics, 500, "internal", None),
    ] {
        let server = faulty_server(fault);
        for answer in ask(&server) {
            assert_eq!(
                summarize(&answer),
                (status, code.to_owned(), retry.map(str::to_owned)),
                "{fault:?}"
            );
        }
        let ready = server.get("/readyz");
        assert_eq!(ready.status, status, "{fault:?}");
        server.get("/livez").expect(200);
    }
}

#[test]
fn requests_time_out() {
    let server = faulty_server(StoreFault::Hangs);
    let begun = Instant::now();
    let list = server.get("/v1/customers");
    assert_eq!(summarize(&list), (503, "unavailable".to_owned(), Some("1".to_owned())));
    let write = server.post("/v1/points-add", r#"{"customer_id":"1","points":5}"#);
    assert_eq!(summarize(&write), (503, "outcome_unknown".to_owned(), Some("1".to_owned())));
    assert!(begun.elapsed() < Duration::from_millis(690), "{:?}", begun.elapsed());
}

#[test]
fn a_read_that_nobody_waits_for_ends() {
    let ended = Arc::new(AtomicUsize::new(0));
    let server = counting_server(StoreFault::Scans, &ended);
    for count in 1..4 {
        let answer = server.get("/v1/customers/count");
        assert_eq!(summarize(&answer), (503, "unavailable".to_owned(), Some("1".to_owned())));
        let since = Instant::now();
        while ended.load(Ordering::SeqCst) < count {
            assert!(since.elapsed() < Duration::from_secs(5), "a scan goes on unwatched");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_stop_ends_long_reads_within_the_grace_period() {
    let ended = Arc::new(AtomicUsize::new(0));
    let server = patient_server(Duration::from_secs(30), StoreFault::Scans, &ended);
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut client = TcpStream::connect(address).unwrap();
    let head = format!(
        "GET /v1/customers/count HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        server.key
    );
    client.write_all(head.as_bytes()).unwrap();
    // The count has begun.
    std::thread::sleep(Duration::from_millis(300));

    let begun = Instant::now();
    server.stop();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    // No answer, since none was found.
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty());
}

//! What the store plugins tell: `POST /integrations/webhooks/{platform}/{event}`.
//!
//! ```text
//! platform ── 404
//! body ── Signed::parse ── its key ── signature ── read ── one action of the store ── {"ok": true, …}
//!           400                401         401       400            422
//! ```
//!
//! A body brings its own proof, and the shop follows from the key in it, so there is no other
//! authentication. Nothing is kept for idempotency: an order, a cancellation and a customer say how things
//! are, and saying it again changes nothing. Only a refund is one more with each delivery, since it has no
//! id: it is named after its delivery and cut at what is left of the order.

use std::sync::Arc;

use hyper::StatusCode;
use loyalty_core::{
    Amount, Command, OverRefund, Origin, Points, Refund, RefundId, ShopId, Status, Timestamp,
};
use loyalty_store::{
    Action, EmailConflict, Integration, ApiKeyRecord, Existence, ProfileChange, Receipt,
    RedemptionAction, Scope, Shop, Store,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::php::JsonError;
use super::signature::{SignatureError, Signed, Verified};
use super::wire::{self, WireError};
use crate::auth;
use crate::endpoint::redemptions::entropy;
use crate::endpoint::{Answer, Work, refuse, to_json};
use crate::idempotency::Once;
use crate::problem::Problem;
use crate::wire::json::Code;
use crate::wire::redemption::{OfferedAnswer, RedemptionAnswer, RewardsAnswer};

/// The plugins that speak this wire. `common` is for what they share.
const PLATFORMS: [&str; 3] = [COMMON, "magento", "woocommerce"];

/// The platform of the paths that name none.
pub(crate) const COMMON: &str = "common";

/// How far the clocks of a store and of this server may be apart where a body says when it was signed, in seconds.
const MAX_AGE: u64 = 15 * 60;

/// One delivery of a plugin, as it came in.
#[derive(Clone, Copy)]
pub(crate) struct Delivery<'a> {
    /// The platform that the path names.
    pub(crate) platform: &'a str,
    /// What it tells.
    pub(crate) told: Told,
    /// The body.
    pub(crate) body: &'a [u8],
    /// What names this delivery and no other.
    pub(crate) id: &'a str,
    /// When it came.
    pub(crate) now: Timestamp,
}

/// What a plugin tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    Cancelled,
    Closed,
    Customer,
    CustomerAsked,
    Installed,
    KeyVerify,
    Reached(Status),
    Redeem,
    Refund,
    RewardsAsked,
}

/// A delivery that was taken in: whose it is, and what is to be done, once where that matters.
pub(crate) struct Received {
    pub(crate) shop: ShopId,
    pub(crate) work: Work,
    pub(crate) once: Option<Once>,
}

/// Takes a delivery in.
pub(crate) fn receive(store: &dyn Store, delivery: Delivery<'_>) -> Result<Received, Problem> {
    let platform = PLATFORMS.into_iter().find(|platform| *platform == delivery.platform);
    let platform =
        platform.ok_or_else(|| Problem::not_found("There is no such platform.").at("platform"))?;
    let (key, body) = authenticate(store, delivery.body)?;
    let shop = || match store.shop(key.shop) {
        Ok(shop) => shop.ok_or_else(|| Problem::internal("a key without a shop")),
        Err(failure) => Err(refuse::failure(failure)),
    };
    let (id, mut once) = (key.shop, None);
    let work = match delivery.told {
        Told::CustomerAsked => customer_asked(store, id, delivery.now, body),
        Told::RewardsAsked => rewards_asked(store, id, delivery.now, body),
        Told::Redeem => redeem(delivery, body, &mut once),
        Told::Cancelled => cancelled(body),
        Told::Closed => closed(body),
        Told::Customer => customer(body),
        Told::Installed => installed(platform, key.shop, delivery.now, body),
        Told::KeyVerify => key_verify(&*shop()?, delivery.now, body),
        Told::Reached(status) => order(&*shop()?, status, body),
        Told::Refund => refund(&*shop()?, delivery.id, body),
    };
    Ok(Received { shop: id, work: work?, once })
}

/// Whose body it is. An unknown key, a wrong secret in it and a wrong signature are told alike, after the
/// same work.
fn authenticate<'b>(
    store: &dyn Store,
    body: &'b [u8],
) -> Result<(Arc<ApiKeyRecord>, Verified<'b>), Problem> {
    let signed = Signed::parse(body).map_err(|error| unsigned(&error))?;
    let key = auth::recognize(store, signed.key())?;
    let secret = key.as_ref().map(|key| key.key.signing_secret.as_bytes());
    let verified = signed.verify(secret).map_err(|error| unsigned(&error))?;
    let key = key.ok_or_else(|| unsigned(&SignatureError::Refused))?;
    auth::authorize(&key, Scope::Write)?;
    Ok((key, verified))
}

fn unsigned(error: &SignatureError) -> Problem {
    let (code, pointer) = match error {
        SignatureError::Json(JsonError::Truncated) => (Code::TruncatedJson, ""),
        SignatureError::Json(JsonError::TooDeep) => (Code::TooDeep, ""),
        SignatureError::Json(_) => (Code::MalformedJson, ""),
        SignatureError::DuplicateMember(_) => (Code::DuplicateField, ""),
        SignatureError::NumericMember(_) => (Code::UnknownField, ""),
        SignatureError::NoKey => (Code::MissingField, "/key"),
        SignatureError::NoHmac => (Code::MissingField, "/hmac"),
        SignatureError::HmacNotBase64 | SignatureError::Refused => {
            return Problem::unauthorized(
                "The key is not known, or the signature is not by its secret.",
            );
        }
    };
    let problem = Problem::bad_request(code.as_str(), refuse::sentence(&error.to_string()));
    if pointer.is_empty() { problem } else { problem.at(pointer) }
}

fn read<T: DeserializeOwned>(body: Verified<'_>) -> Result<T, Problem> {
    body.read().map_err(unreadable)
}

fn unreadable(WireError { pointer, reason }: WireError) -> Problem {
    Problem::bad_request("invalid_body", refuse::sentence(&reason)).at(pointer)
}

/// The key and the secret are right, and so is the store's clock: nobody repeats an old request.
fn key_verify(shop: &Shop, now: Timestamp, body: Verified<'_>) -> Result<Work, Problem> {
    let wire::KeyVerify { t } = read(body)?;
    check_age(now, t)?;
    let (currency, time_zone) = (shop.currency.code(), shop.zone.name());
    Ok(Work::Done(Answer::ok(&KeyAnswer {
        ok: true,
        shop: &shop.name,
        currency,
        time_zone,
    })))
}

fn check_age(now: Timestamp, signed_at: i64) -> Result<(), Problem> {
    if now.timestamp().abs_diff(signed_at) <= MAX_AGE {
        return Ok(());
    }
    Err(
        Problem::stale_request("This was signed at another time; set the store's clock right.")
            .at("/t"),
    )
}

/// All rewards of the program.
fn rewards_asked(
    store: &dyn Store,
    shop: ShopId,
    now: Timestamp,
    body: Verified<'_>,
) -> Result<Work, Problem> {
    let wire::KeyVerify { t } = read(body)?;
    check_age(now, t)?;
    let program = store.program(shop, None).map_err(refuse::failure)?;
    let (_, program) = program.ok_or_else(|| Problem::internal("a shop without a program"))?;
    Ok(Work::Done(Answer::ok(&Data { data: RewardsAnswer::new(&program).rewards })))
}

/// A customer's balance, and the rewards that they can have.
fn customer_asked(
    store: &dyn Store,
    shop: ShopId,
    now: Timestamp,
    body: Verified<'_>,
) -> Result<Work, Problem> {
    let who = read::<wire::CustomerAsked>(body)?
        .who()
        .ok_or_else(|| nobody("/customer_id"))?;
    let rewards = store
        .rewards(shop, &who, now)
        .map_err(refuse::failure)?
        .ok_or_else(refuse::no_customer)?;
    Ok(Work::Done(Answer::ok(&Data { data: OfferedAnswer::new(&rewards) })))
}

/// A customer exchanges points in the store. Where the plugin says when it signed that, the same body again is
/// the same redemption.
fn redeem(
    delivery: Delivery<'_>,
    body: Verified<'_>,
    once: &mut Option<Once>,
) -> Result<Work, Problem> {
    let wire::RedeemReward { customer_email, customer_id, reward_id, amount, t } = read(body)?;
    if let Some(t) = t {
        check_age(delivery.now, t)?;
        *once = Some(Once::of_delivery(delivery.body));
    }
    let asked = wire::CustomerAsked { customer_id, customer_email };
    let who = asked.who().ok_or_else(|| nobody("/customer_email"))?;
    let amount = amount.map(Amount::new).transpose();
    let amount = amount.map_err(|error| {
        unreadable(WireError { pointer: "/amount".to_owned(), reason: error.to_string() })
    })?;
    let action = RedemptionAction::Issue { customer: who, reward: reward_id, amount, entropy: entropy()? };
    let body =
        |receipt: &Receipt| to_json(&Data { data: Data { data: CouponAnswer::new(receipt) } });
    Ok(Work::write(Action::Redemption(action), StatusCode::OK, body, |rejection| {
        let param = match rejection.code() {
            "customer_not_found" => "/customer_email",
            "invalid_amount" => "/amount",
            _ => "/reward_id",
        };
        Some(param.to_owned())
    }))
}

fn nobody(pointer: &str) -> Problem {
    let reason = "an id or an e-mail address is needed".to_owned();
    unreadable(WireError { pointer: pointer.to_owned(), reason })
}

fn installed(
    platform: &str,
    shop: ShopId,
    now: Timestamp,
    body: Verified<'_>,
) -> Result<Work, Problem> {
    let wire::AppInstalled { shop_url, api_endpoint } = read(body)?;
    let integration = Integration { platform: platform.to_owned(), shop_url, api_endpoint };
    Ok(Work::scan(move |store| {
        store.record_integration(shop, &integration, now).map_err(refuse::failure)?;
        Ok(Answer::ok(&InstalledAnswer { ok: true }))
    }))
}

fn order(shop: &Shop, status: Status, body: Verified<'_>) -> Result<Work, Problem> {
    let body: wire::Order = read(body)?;
    let snapshot = Arc::new(body.snapshot(shop.minor_digits()).map_err(unreadable)?);
    let command = Command::RecordOrder {
        order: body.id,
        snapshot,
        status,
        at: None,
        origin: Origin::Plugin,
    };
    let (customer, change) = body.customer.map(wire::Customer::told).unwrap_or_default();
    Ok(write(Action::Order { command, customer, change }))
}

fn cancelled(body: Verified<'_>) -> Result<Work, Problem> {
    let wire::OrderRef { id: order } = read(body)?;
    Ok(command(Command::CancelOrder { order, at: None }))
}

fn closed(body: Verified<'_>) -> Result<Work, Problem> {
    let wire::OrderRef { id: order } = read(body)?;
    Ok(command(Command::CloseOrder { order, at: None }))
}

fn refund(shop: &Shop, delivery: &str, body: Verified<'_>) -> Result<Work, Problem> {
    let body: wire::Refund = read(body)?;
    let Some(refunded) = body.refunded(shop.minor_digits()).map_err(unreadable)? else {
        let nothing = WebhookAnswer { ok: true, points_changed: Points::ZERO, point_balance: None };
        return Ok(Work::Done(Answer::ok(&nothing)));
    };
    let id = RefundId::new(format!("delivery-{delivery}")).map_err(Problem::internal)?;
    let refund = Refund { id, refunded };
    Ok(command(Command::RefundOrder {
        order: body.id,
        refund,
        over_refund: OverRefund::Clamp,
        at: None,
    }))
}

fn customer(body: Verified<'_>) -> Result<Work, Problem> {
    let (who, change) = read::<wire::Customer>(body)?.told();
    let who = who.ok_or_else(|| nobody("/id"))?;
    let (presence, conflict) = (Existence::Any, EmailConflict::Ignore);
    Ok(write(Action::Customer {
        customer: who,
        existence: presence,
        change,
        email_conflict: conflict,
        if_match: None,
        commands: vec![Command::SignUp],
    }))
}

fn command(command: Command) -> Work {
    write(Action::Order { command, customer: None, change: ProfileChange::default() })
}

fn write(action: Action) -> Work {
    Work::write(
        action,
        StatusCode::OK,
        |receipt| to_json(&WebhookAnswer::new(receipt)),
        |_| None,
    )
}

#[derive(Serialize)]
struct InstalledAnswer {
    ok: bool,
}

#[derive(Serialize)]
struct KeyAnswer<'a> {
    ok: bool,
    shop: &'a str,
    currency: &'a str,
    time_zone: &'a str,
}

/// How the plugins expect what they ask for.
#[derive(Serialize)]
struct Data<T> {
    data: T,
}

/// What a plugin shows its customer; it reads `data.data.coupon_code` of the whole.
#[derive(Serialize)]
struct CouponAnswer<'a> {
    /// Null for what has no code.
    coupon_code: Option<&'a str>,
    #[serde(flatten)]
    redemption: Option<RedemptionAnswer<'a>>,
}

impl<'a> CouponAnswer<'a> {
    fn new(receipt: &'a Receipt) -> Self {
        let code = receipt
            .redemption
            .as_ref()
            .and_then(|view| view.redemption.issue().code.as_ref());
        Self {
            coupon_code: code.map(loyalty_core::discount::Code::as_str),
            redemption: RedemptionAnswer::of_receipt(receipt),
        }
    }
}

/// For people who read the store's log; the plugins only look at the status.
#[derive(Serialize)]
struct WebhookAnswer {
    ok: bool,
    /// What this delivery did to the customer's balance.
    points_changed: Points,
    /// Null where the customer is not known.
    point_balance: Option<Points>,
}

impl WebhookAnswer {
    fn new(receipt: &Receipt) -> Self {
        let points_changed = receipt.points_changed();
        let point_balance = receipt.customer.as_ref().map(|customer| customer.balance(receipt.at));
        Self { ok: true, points_changed, point_balance }
    }
}

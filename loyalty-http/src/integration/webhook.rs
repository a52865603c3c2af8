//! What the store plugins tell: `POST /integrations/webhooks/{platform}/{event}`.
//!
//! ```text
//! platform, event ── 404
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
use loyalty_core::{Command, Excess, Origin, Points, Refund, RefundId, ShopId, Status, Timestamp};
use loyalty_store::{
    Action, EmailConflict, Integration, KeyRecord, Presence, ProfileChange, Receipt, Scope, Shop, Store,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::php::JsonError;
use super::signature::{SignatureError, Signed, Verified};
use super::wire::{self, WireError};
use crate::auth;
use crate::endpoint::{Answer, Work, refuse, to_json};
use crate::problem::Problem;
use crate::wire::json::Code;

/// The plugins that speak this wire. `common` is for what they share.
const PLATFORMS: [&str; 3] = ["common", "magento", "woocommerce"];

/// How far the clocks of a store and of this server may be apart at a `key-verify`, in seconds.
const MAX_AGE: u64 = 15 * 60;

/// One delivery of a plugin, as it came in.
#[derive(Clone, Copy)]
pub(crate) struct Delivery<'a> {
    /// The path's platform.
    pub(crate) platform: &'a str,
    /// The path's event.
    pub(crate) event: &'a str,
    /// The body.
    pub(crate) body: &'a [u8],
    /// What names this delivery and no other.
    pub(crate) id: &'a str,
    /// When it came.
    pub(crate) now: Timestamp,
}

/// What a plugin tells.
#[derive(Clone, Copy)]
enum Told {
    Cancelled,
    Closed,
    Customer,
    Installed,
    KeyVerify,
    Reached(Status),
    Refund,
}

impl Told {
    fn parse(event: &str) -> Option<Self> {
        Some(match event {
            "app-installed" => Self::Installed,
            "customers-create" => Self::Customer,
            "key-verify" => Self::KeyVerify,
            "orders-cancelled" => Self::Cancelled,
            "orders-closed" => Self::Closed,
            "orders-completed" => Self::Reached(Status::Completed),
            "orders-fulfilled" => Self::Reached(Status::Fulfilled),
            "orders-paid" => Self::Reached(Status::Paid),
            "orders-processing" => Self::Reached(Status::Processing),
            "refunds-create" => Self::Refund,
            _ => return None,
        })
    }
}

/// Takes a delivery in: whose it is, and what is to be done.
pub(crate) fn receive(store: &dyn Store, delivery: Delivery<'_>) -> Result<(ShopId, Work), Problem> {
    let platform = PLATFORMS.into_iter().find(|platform| *platform == delivery.platform);
    let (Some(platform), Some(told)) = (platform, Told::parse(delivery.event)) else {
        return Err(Problem::not_found("There is no such webhook."));
    };
    let (key, body) = authenticate(store, delivery.body)?;
    let shop = || match store.shop(key.shop) {
        Ok(shop) => shop.ok_or_else(|| Problem::internal("a key without a shop")),
        Err(failure) => Err(refuse::failure(failure)),
    };
    let work = match told {
        Told::Cancelled => cancelled(body),
        Told::Closed => closed(body),
        Told::Customer => customer(body),
        Told::Installed => installed(platform, key.shop, delivery.now, body),
        Told::KeyVerify => key_verify(&*shop()?, delivery.now, body),
        Told::Reached(status) => order(&*shop()?, status, body),
        Told::Refund => refund(&*shop()?, delivery.id, body),
    };
    Ok((key.shop, work?))
}

/// Whose body it is. An unknown key, a wrong secret in it and a wrong signature are told alike, after the
/// same work.
fn authenticate<'b>(store: &dyn Store, body: &'b [u8]) -> Result<(Arc<KeyRecord>, Verified<'b>), Problem> {
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
            return Problem::unauthorized("The key is not known, or the signature is not by its secret.");
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
    if now.timestamp().abs_diff(t) > MAX_AGE {
        return Err(
            Problem::stale_request("This was signed at another time; set the store's clock right.").at("/t")
        );
    }
    let (currency, time_zone) = (shop.currency.code(), shop.zone.name());
    Ok(Work::Done(Answer::ok(&KeyAnswer { ok: true, shop: &shop.name, currency, time_zone })))
}

fn installed(platform: &str, shop: ShopId, now: Timestamp, body: Verified<'_>) -> Result<Work, Problem> {
    let wire::AppInstalled { shop_url, api_endpoint } = read(body)?;
    let integration = Integration { platform: platform.to_owned(), shop_url, api_endpoint };
    Ok(Work::scan(move |store| {
        store.install(shop, &integration, now).map_err(refuse::failure)?;
        Ok(Answer::ok(&InstalledAnswer { ok: true }))
    }))
}

fn order(shop: &Shop, status: Status, body: Verified<'_>) -> Result<Work, Problem> {
    let body: wire::Order = read(body)?;
    let snapshot = Arc::new(body.snapshot(shop.minor_digits()).map_err(unreadable)?);
    let command = Command::RecordOrder { order: body.id, snapshot, status, at: None, origin: Origin::Plugin };
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
    Ok(command(Command::RefundOrder { order: body.id, refund, excess: Excess::Cut, at: None }))
}

fn customer(body: Verified<'_>) -> Result<Work, Problem> {
    let (who, change) = read::<wire::Customer>(body)?.told();
    let who = who.ok_or_else(|| {
        unreadable(WireError {
            pointer: "/id".to_owned(),
            reason: "an id or an e-mail address is needed".to_owned(),
        })
    })?;
    let (presence, conflict) = (Presence::May, EmailConflict::Ignore);
    Ok(write(Action::Customer {
        who,
        presence,
        change,
        conflict,
        if_match: None,
        commands: vec![Command::SignUp],
    }))
}

fn command(command: Command) -> Work {
    write(Action::Order { command, customer: None, change: ProfileChange::default() })
}

fn write(action: Action) -> Work {
    Work::write(action, StatusCode::OK, |receipt| to_json(&WebhookAnswer::new(receipt)), |_| None)
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

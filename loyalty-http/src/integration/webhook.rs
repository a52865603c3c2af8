//! What the store plugins tell: `POST /integrations/webhooks/{platform}/{event}`.
//!
//! ```text
//! platform ── 404
//! body ── SignedBody::parse ── its key ── signature ── read ── one action of the store ── {"ok": true, …}
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
    Amount, Command, Origin, OverRefund, Points, Refund, RefundId, ShopId, Status, Timestamp,
};
use loyalty_store::{
    Action, ApiKeyRecord, EmailConflict, Existence, Integration, ProfileChange, Receipt,
    RedemptionAction, Scope, Shop, Store,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::php::JsonError;
use super::signature::{SignatureError, SignedBody, VerifiedBody};
use super::wire::{self, WireError};
use crate::auth;
use crate::endpoint::redemptions::draw_entropy;
use crate::endpoint::{EncodedResponse, HandlerPlan, error, to_json};
use crate::idempotency::IdempotencyRecord;
use crate::problem::Problem;
use crate::wire::json::BodyErrorCode;
use crate::wire::redemption::{CustomerRewardsResponse, RedemptionResponse, RewardsResponse};
use crate::wire::schema;

/// The plugins that speak this wire. `common` is for what they share.
const PLATFORMS: [&str; 3] = [COMMON, "magento", "woocommerce"];

/// The platform of the paths that name none.
pub(crate) const COMMON: &str = "common";

/// How far the clocks of a store and of this server may be apart where a body says when it was signed, in seconds.
const MAX_CLOCK_DIFFERENCE: u64 = 15 * 60;

/// One delivery of a plugin, as it came in.
#[derive(Clone, Copy)]
pub(crate) struct Delivery<'a> {
    /// The platform that the path names.
    pub(crate) platform: &'a str,
    /// What it tells.
    pub(crate) event: WebhookEvent,
    /// The body.
    pub(crate) body: &'a [u8],
    /// What names this delivery and no other.
    pub(crate) id: &'a str,
    /// When it came.
    pub(crate) now: Timestamp,
}

/// What a plugin tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WebhookEvent {
    OrderCancelled,
    OrderClosed,
    CustomerChanged,
    CustomerQuery,
    AppInstalled,
    KeyVerify,
    OrderReached(Status),
    RedeemReward,
    RefundCreated,
    RewardsQuery,
}

/// A delivery that was taken in: whose it is, and what is to be done, once where that matters.
pub(crate) struct ParsedDelivery {
    pub(crate) shop: ShopId,
    pub(crate) plan: HandlerPlan,
    pub(crate) idempotency: Option<IdempotencyRecord>,
}

/// Takes a delivery in.
pub(crate) fn receive(
    store: &dyn Store,
    delivery: Delivery<'_>,
) -> Result<ParsedDelivery, Problem> {
    let platform = PLATFORMS.into_iter().find(|platform| *platform == delivery.platform);
    let platform = platform
        .ok_or_else(|| Problem::not_found("There is no such platform.").with_param("platform"))?;
    let (key, body) = authenticate(store, delivery.body)?;
    let shop = || match store.shop(key.shop) {
        Ok(shop) => shop.ok_or_else(|| Problem::internal("a key without a shop")),
        Err(failure) => Err(error::from_failure(failure)),
    };
    let (id, mut once) = (key.shop, None);
    let work = match delivery.event {
        WebhookEvent::CustomerQuery => show_customer(store, id, delivery.now, body),
        WebhookEvent::RewardsQuery => list_rewards(store, id, delivery.now, body),
        WebhookEvent::RedeemReward => redeem_reward(delivery, body, &mut once),
        WebhookEvent::OrderCancelled => cancel_order(body),
        WebhookEvent::OrderClosed => close_order(body),
        WebhookEvent::CustomerChanged => save_customer(body),
        WebhookEvent::AppInstalled => record_installation(platform, key.shop, delivery.now, body),
        WebhookEvent::KeyVerify => verify_key(&*shop()?, delivery.now, body),
        WebhookEvent::OrderReached(status) => record_order(&*shop()?, status, body),
        WebhookEvent::RefundCreated => refund_order(&*shop()?, delivery.id, body),
    };
    Ok(ParsedDelivery { shop: id, plan: work?, idempotency: once })
}

/// Whose body it is. An unknown key, a wrong secret in it and a wrong signature are told alike, after the
/// same work.
fn authenticate<'b>(
    store: &dyn Store,
    body: &'b [u8],
) -> Result<(Arc<ApiKeyRecord>, VerifiedBody<'b>), Problem> {
    let signed = SignedBody::parse(body).map_err(|error| signature_problem(&error))?;
    let key = auth::verify_key(store, signed.key())?;
    let secret = key.as_ref().map(|key| key.key.signing_secret.as_bytes());
    let verified = signed.verify(secret).map_err(|error| signature_problem(&error))?;
    let key = key.ok_or_else(|| signature_problem(&SignatureError::NotAuthentic))?;
    auth::authorize(&key, Scope::Write)?;
    Ok((key, verified))
}

fn signature_problem(error: &SignatureError) -> Problem {
    let (code, pointer) = match error {
        SignatureError::Json(JsonError::Truncated) => (BodyErrorCode::TruncatedJson, ""),
        SignatureError::Json(JsonError::TooDeep) => (BodyErrorCode::TooDeep, ""),
        SignatureError::Json(_) => (BodyErrorCode::MalformedJson, ""),
        SignatureError::DuplicateMember(_) => (BodyErrorCode::DuplicateField, ""),
        SignatureError::NumericMember(_) => (BodyErrorCode::UnknownField, ""),
        SignatureError::MissingKey => (BodyErrorCode::MissingField, "/key"),
        SignatureError::MissingHmac => (BodyErrorCode::MissingField, "/hmac"),
        SignatureError::HmacNotBase64 | SignatureError::NotAuthentic => {
            return Problem::unauthorized(
                "The key is not known, or the signature is not by its secret.",
            );
        }
    };
    let problem = Problem::bad_request(code.as_str(), error::to_sentence(&error.to_string()));
    if pointer.is_empty() { problem } else { problem.with_param(pointer) }
}

fn read<T: DeserializeOwned>(body: VerifiedBody<'_>) -> Result<T, Problem> {
    body.read().map_err(wire_problem)
}

fn wire_problem(WireError { pointer, reason }: WireError) -> Problem {
    Problem::bad_request("invalid_body", error::to_sentence(&reason)).with_param(pointer)
}

/// The key and the secret are right, and so is the store's clock: nobody repeats an old request.
fn verify_key(shop: &Shop, now: Timestamp, body: VerifiedBody<'_>) -> Result<HandlerPlan, Problem> {
    let wire::KeyVerify { t } = read(body)?;
    check_age(now, t)?;
    let (currency, time_zone) = (shop.currency.code(), shop.zone.name());
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&KeyVerifyResponse {
        ok: true,
        shop: &shop.name,
        currency,
        time_zone,
    })))
}

fn check_age(now: Timestamp, signed_at: i64) -> Result<(), Problem> {
    if now.timestamp().abs_diff(signed_at) <= MAX_CLOCK_DIFFERENCE {
        return Ok(());
    }
    Err(
        Problem::stale_request("This was signed at another time; set the store's clock right.")
            .with_param("/t"),
    )
}

/// All rewards of the program.
fn list_rewards(
    store: &dyn Store,
    shop: ShopId,
    now: Timestamp,
    body: VerifiedBody<'_>,
) -> Result<HandlerPlan, Problem> {
    let wire::KeyVerify { t } = read(body)?;
    check_age(now, t)?;
    let program = store.program(shop, None).map_err(error::from_failure)?;
    let (_, program) = program.ok_or_else(|| Problem::internal("a shop without a program"))?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&DataEnvelope {
        data: RewardsResponse::new(&program).rewards,
    })))
}

/// A customer's balance, and the rewards that they can have.
fn show_customer(
    store: &dyn Store,
    shop: ShopId,
    now: Timestamp,
    body: VerifiedBody<'_>,
) -> Result<HandlerPlan, Problem> {
    let who = read::<wire::CustomerQuery>(body)?
        .into_customer_ref()
        .ok_or_else(|| missing_customer("/customer_id"))?;
    let rewards = store
        .rewards(shop, &who, now)
        .map_err(error::from_failure)?
        .ok_or_else(error::customer_not_found)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&DataEnvelope {
        data: CustomerRewardsResponse::new(&rewards),
    })))
}

/// A customer exchanges points in the store. Where the plugin says when it signed that, the same body again is
/// the same redemption.
fn redeem_reward(
    delivery: Delivery<'_>,
    body: VerifiedBody<'_>,
    once: &mut Option<IdempotencyRecord>,
) -> Result<HandlerPlan, Problem> {
    let wire::RedeemReward { customer_email, customer_id, reward_id, amount, t } = read(body)?;
    if let Some(t) = t {
        check_age(delivery.now, t)?;
        *once = Some(IdempotencyRecord::from_delivery(delivery.body));
    }
    let asked = wire::CustomerQuery { customer_id, customer_email };
    let who = asked
        .into_customer_ref()
        .ok_or_else(|| missing_customer("/customer_email"))?;
    let amount = amount.map(Amount::new).transpose();
    let amount = amount.map_err(|error| {
        wire_problem(WireError { pointer: "/amount".to_owned(), reason: error.to_string() })
    })?;
    let action = RedemptionAction::Issue {
        customer: who,
        reward: reward_id,
        amount,
        entropy: draw_entropy()?,
    };
    let body = |receipt: &Receipt| {
        to_json(&DataEnvelope { data: DataEnvelope { data: CouponResponse::new(receipt) } })
    };
    Ok(HandlerPlan::write(
        Action::Redemption(action),
        StatusCode::OK,
        body,
        |rejection| {
            let param = match rejection.code() {
                "customer_not_found" => "/customer_email",
                "invalid_amount" => "/amount",
                _ => "/reward_id",
            };
            Some(param.to_owned())
        },
    ))
}

fn missing_customer(pointer: &str) -> Problem {
    let reason = "an id or an e-mail address is needed".to_owned();
    wire_problem(WireError { pointer: pointer.to_owned(), reason })
}

fn record_installation(
    platform: &str,
    shop: ShopId,
    now: Timestamp,
    body: VerifiedBody<'_>,
) -> Result<HandlerPlan, Problem> {
    let wire::AppInstalled { shop_url, api_endpoint } = read(body)?;
    let integration = Integration { platform: platform.to_owned(), shop_url, api_endpoint };
    Ok(HandlerPlan::read(move |store| {
        store
            .record_integration(shop, &integration, now)
            .map_err(error::from_failure)?;
        Ok(EncodedResponse::ok(&InstalledResponse { ok: true }))
    }))
}

fn record_order(
    shop: &Shop,
    status: Status,
    body: VerifiedBody<'_>,
) -> Result<HandlerPlan, Problem> {
    let body: wire::Order = read(body)?;
    let snapshot = Arc::new(body.to_snapshot(shop.minor_digits()).map_err(wire_problem)?);
    let command = Command::RecordOrder {
        order: body.id,
        snapshot,
        status,
        at: None,
        origin: Origin::Plugin,
    };
    let (customer, change) = body
        .customer
        .map(wire::Customer::into_profile_change)
        .unwrap_or_default();
    Ok(write_action(Action::Order { command, customer, change }))
}

fn cancel_order(body: VerifiedBody<'_>) -> Result<HandlerPlan, Problem> {
    let wire::OrderRef { id: order } = read(body)?;
    Ok(order_command(Command::CancelOrder { order, at: None }))
}

fn close_order(body: VerifiedBody<'_>) -> Result<HandlerPlan, Problem> {
    let wire::OrderRef { id: order } = read(body)?;
    Ok(order_command(Command::CloseOrder { order, at: None }))
}

fn refund_order(
    shop: &Shop,
    delivery: &str,
    body: VerifiedBody<'_>,
) -> Result<HandlerPlan, Problem> {
    let body: wire::Refund = read(body)?;
    let Some(refunded) = body.to_refunded(shop.minor_digits()).map_err(wire_problem)? else {
        let nothing =
            WebhookResponse { ok: true, points_changed: Points::ZERO, point_balance: None };
        return Ok(HandlerPlan::Respond(EncodedResponse::ok(&nothing)));
    };
    let id = RefundId::new(format!("delivery-{delivery}")).map_err(Problem::internal)?;
    let refund = Refund { id, refunded };
    Ok(order_command(Command::RefundOrder {
        order: body.id,
        refund,
        over_refund: OverRefund::Clamp,
        at: None,
    }))
}

fn save_customer(body: VerifiedBody<'_>) -> Result<HandlerPlan, Problem> {
    let (who, change) = read::<wire::Customer>(body)?.into_profile_change();
    let who = who.ok_or_else(|| missing_customer("/id"))?;
    let (presence, conflict) = (Existence::Any, EmailConflict::Ignore);
    Ok(write_action(Action::Customer {
        customer: who,
        existence: presence,
        change,
        email_conflict: conflict,
        if_match: None,
        commands: vec![Command::SignUp],
    }))
}

fn order_command(command: Command) -> HandlerPlan {
    write_action(Action::Order { command, customer: None, change: ProfileChange::default() })
}

fn write_action(action: Action) -> HandlerPlan {
    HandlerPlan::write(
        action,
        StatusCode::OK,
        |receipt| to_json(&WebhookResponse::new(receipt)),
        |_| None,
    )
}

/// The store is connected.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Installed")]
pub(crate) struct InstalledResponse {
    #[schemars(with = "schema::True")]
    ok: bool,
}

/// The key is valid.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyVerification")]
pub(crate) struct KeyVerifyResponse<'a> {
    #[schemars(with = "schema::True")]
    ok: bool,
    shop: &'a str,
    #[schemars(with = "schema::Currency")]
    currency: &'a str,
    time_zone: &'a str,
}

/// The shape in which the plugins expect data.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Data", inline)]
pub(crate) struct DataEnvelope<T> {
    data: T,
}

/// A redemption with its coupon code.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Coupon")]
pub(crate) struct CouponResponse<'a> {
    /// The code; null for a benefit without one.
    #[schemars(with = "Option<schema::CodeText>")]
    coupon_code: Option<&'a str>,
    #[serde(flatten)]
    #[schemars(required)]
    redemption: Option<RedemptionResponse<'a>>,
}

impl<'a> CouponResponse<'a> {
    fn new(receipt: &'a Receipt) -> Self {
        let code = receipt
            .redemption
            .as_ref()
            .and_then(|view| view.redemption.issue().code.as_ref());
        Self {
            coupon_code: code.map(loyalty_core::discount::Code::as_str),
            redemption: RedemptionResponse::from_receipt(receipt),
        }
    }
}

/// The outcome of a delivery.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeliveryResult")]
pub(crate) struct WebhookResponse {
    #[schemars(with = "schema::True")]
    ok: bool,
    /// The change of the customer's balance by this delivery.
    #[schemars(with = "schema::Points")]
    points_changed: Points,
    /// The balance; null where the customer is not known.
    #[schemars(with = "Option<schema::Points>")]
    point_balance: Option<Points>,
}

impl WebhookResponse {
    fn new(receipt: &Receipt) -> Self {
        let points_changed = receipt.points_changed();
        let point_balance = receipt.customer.as_ref().map(|customer| customer.balance(receipt.at));
        Self { ok: true, points_changed, point_balance }
    }
}

//! Events of the store plugins: `POST /integrations/webhooks/{platform}/{event}`.
//!
//! ```text
//! platform ── 404
//! body ── its key ── SignedBody::parse ── signature ── read ── one action of the store ── {"ok": true, …}
//!           401        400                 401         400            422
//! ```
//!
//! The signature in the body is the only authentication, and the shop follows from the
//! key in it.
//!
//! Most events need no idempotency: an order, a cancellation and a customer describe a
//! state, so a second delivery changes nothing. A refund has no id, so each delivery is a
//! further refund. Its id is made from the delivery's, and its amount is limited to what
//! can still be refunded.
//!
//! The event is in the path and not signed. So a body that holds what only another event
//! has is refused.

use std::sync::Arc;

use hyper::StatusCode;
use ipnet::IpNet;
use loyalty_core::program::{Reward, RewardPricing};
use loyalty_core::{
    Amount, Command, Origin, OverRefund, Points, Program, Refund, RefundId, ShopId, Status,
    Timestamp,
};
use loyalty_store::{
    Action, EmailConflict, Existence, Integration, ProfileChange, Receipt, RedemptionAction,
    RewardsView, Scope, Shop, Store,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::php::JsonError;
use super::signature::{SignatureError, SignedBody, VerifiedBody, find_key};
use super::wire::{self, WireError};
use crate::auth;
use crate::endpoint::redemptions::draw_entropy;
use crate::endpoint::{EncodedResponse, HandlerPlan, error, to_json};
use crate::idempotency::IdempotencyRecord;
use crate::network::check_endpoint;
use crate::problem::{Problem, to_sentence};
use crate::wire::customer::email_proof;
use crate::wire::json::BodyErrorCode;
use crate::wire::redemption::{CustomerRewardsResponse, RedemptionResponse, RewardResponse};
use crate::wire::schema;

/// The known platforms. `common` is for events that are the same for all.
const PLATFORMS: [&str; 3] = [COMMON, "magento", "woocommerce"];

/// The platform of paths without a platform parameter.
pub(crate) const COMMON: &str = "common";

/// The largest accepted difference between a body's signing time and the server's clock,
/// in seconds.
const MAX_CLOCK_DIFFERENCE: u64 = 15 * 60;

/// The largest body whose key is not known yet. A longer one has its key within these bytes.
/// An order of a thousand lines is shorter.
pub(crate) const MAX_UNKNOWN_BODY: usize = 256 << 10;

/// The largest body without a key whose faults are described.
const MAX_KEYLESS_BODY: usize = 4 << 10;

/// One delivery of a plugin, as received.
#[derive(Clone, Copy)]
pub(crate) struct Delivery<'a> {
    /// The platform in the path.
    pub(crate) platform: &'a str,
    pub(crate) event: WebhookEvent,
    pub(crate) body: &'a [u8],
    /// The unique id of the delivery.
    pub(crate) id: &'a str,
    /// The time of receipt.
    pub(crate) now: Timestamp,
    /// The private networks whose addresses may be endpoints.
    pub(crate) allowed_networks: &'a [IpNet],
}

/// The event of a delivery.
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

/// A parsed delivery: its shop, and the plan to execute.
pub(crate) struct ParsedDelivery {
    pub(crate) shop: ShopId,
    pub(crate) plan: HandlerPlan,
    pub(crate) idempotency: Option<IdempotencyRecord>,
}

/// Authenticates and parses a delivery.
pub(crate) fn receive(
    store: &dyn Store,
    delivery: Delivery<'_>,
) -> Result<ParsedDelivery, Problem> {
    let platform = PLATFORMS.into_iter().find(|platform| *platform == delivery.platform);
    let platform =
        platform.ok_or_else(|| Problem::not_found("Unknown platform.").with_param("platform"))?;
    let (shop_id, body) = authenticate(store, delivery.body, delivery.now)?;
    let shop = || match store.shop(shop_id) {
        Ok(shop) => shop.ok_or_else(|| Problem::internal("the key's shop is missing")),
        Err(failure) => Err(error::from_failure(failure)),
    };

    let mut idempotency = None;
    let plan = match delivery.event {
        WebhookEvent::CustomerQuery => show_customer(store, shop_id, delivery.now, body),
        WebhookEvent::RewardsQuery => list_rewards(store, shop_id, delivery.now, body),
        WebhookEvent::RedeemReward => redeem_reward(delivery, body, &mut idempotency),
        WebhookEvent::OrderCancelled => cancel_order(body),
        WebhookEvent::OrderClosed => close_order(body),
        WebhookEvent::CustomerChanged => save_customer(delivery.now, body),
        WebhookEvent::AppInstalled => record_installation(platform, shop_id, delivery, body),
        WebhookEvent::KeyVerify => verify_key(&*shop()?, delivery.now, body),
        WebhookEvent::OrderReached(status) => record_order(&*shop()?, status, delivery.now, body),
        WebhookEvent::RefundCreated => refund_order(store, &*shop()?, delivery.id, body),
    };
    Ok(ParsedDelivery { shop: shop_id, plan: plan?, idempotency })
}

/// The shop of a body with a valid signature. Without a valid key, the body is not parsed.
/// An unknown key, a wrong secret in it and a wrong signature have the same response.
fn authenticate<'b>(
    store: &dyn Store,
    body: &'b [u8],
    now: Timestamp,
) -> Result<(ShopId, VerifiedBody<'b>), Problem> {
    let key = match find_key(body) {
        Some(text) => auth::verify_key(store, &text, now)?.ok_or_else(not_authentic)?,
        // A short body without a key is described to whoever writes a plugin.
        None if body.len() <= MAX_KEYLESS_BODY => {
            let error = SignedBody::parse(body).err();
            return Err(signature_problem(&error.unwrap_or(SignatureError::MissingKey)));
        }
        None => return Err(signature_problem(&SignatureError::MissingKey)),
    };

    let signed = SignedBody::parse(body).map_err(|error| signature_problem(&error))?;
    // A key of the operator has no store.
    let shop = key.owner.shop().ok_or_else(not_authentic)?;
    let secrets = store.store_secrets(shop).map_err(error::from_failure)?;
    let valid = secrets.iter().filter(|secret| secret.is_valid(now));
    let verified = signed
        .verify_any(valid.map(|secret| secret.secret.expose().as_bytes()))
        .map_err(|error| signature_problem(&error))?;
    auth::authorize(&key, Scope::Write)?;
    Ok((shop, verified))
}

/// Admits a body whose first `MAX_UNKNOWN_BODY` bytes have arrived: they have a valid key.
pub(crate) fn admit_prefix(
    store: &dyn Store,
    prefix: &[u8],
    now: Timestamp,
) -> Result<(), Problem> {
    let key = find_key(prefix)
        .map(|text| auth::verify_key(store, &text, now))
        .transpose()?;
    key.flatten().map(drop).ok_or_else(not_authentic)
}

fn not_authentic() -> Problem {
    signature_problem(&SignatureError::NotAuthentic)
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
            return Problem::unauthorized("The key is unknown or the signature is wrong.");
        }
    };

    let problem = Problem::bad_request(code.as_str(), to_sentence(&error.to_string()));
    if pointer.is_empty() { problem } else { problem.with_param(pointer) }
}

fn read<T: DeserializeOwned>(body: VerifiedBody<'_>) -> Result<T, Problem> {
    body.read().map_err(wire_problem)
}

fn wire_problem(WireError { pointer, reason }: WireError) -> Problem {
    Problem::bad_request("invalid_body", to_sentence(&reason)).with_param(pointer)
}

/// Confirms to the merchant that the key, the secret and the store's clock are correct.
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

/// Fails with 401 if the signing time is too far from now, so that an old request can't
/// be replayed.
fn check_age(now: Timestamp, signed_at: i64) -> Result<(), Problem> {
    if now.timestamp().abs_diff(signed_at) <= MAX_CLOCK_DIFFERENCE {
        return Ok(());
    }
    let detail = "The signature's time differs too much from the server's clock; check the \
                  store's clock.";
    Err(Problem::stale_request(detail).with_param("/t"))
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
    let (_, program) = program.ok_or_else(|| Problem::internal("the shop has no program"))?;
    let rewards = program.definition().rewards.iter();
    let data: Vec<_> = rewards
        .map(|reward| StoreRewardResponse::new(reward, &program))
        .collect();
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&DataEnvelope { data })))
}

/// A customer's balance, and the rewards that they can redeem.
fn show_customer(
    store: &dyn Store,
    shop: ShopId,
    now: Timestamp,
    body: VerifiedBody<'_>,
) -> Result<HandlerPlan, Problem> {
    let customer = read::<wire::CustomerQuery>(body)?
        .into_customer_ref()
        .ok_or_else(|| missing_customer("/customer_id"))?;
    let rewards = store
        .rewards(shop, &customer, now)
        .map_err(error::from_failure)?
        .ok_or_else(error::customer_not_found)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&DataEnvelope {
        data: StoreCustomerResponse::new(&rewards),
    })))
}

/// Exchanges points for a reward. If the body has its signing time, the same body again
/// is the same redemption.
fn redeem_reward(
    delivery: Delivery<'_>,
    body: VerifiedBody<'_>,
    idempotency: &mut Option<IdempotencyRecord>,
) -> Result<HandlerPlan, Problem> {
    let wire::RedeemReward { customer_email, customer_id, reward_id, amount, t } = read(body)?;

    // One signature is one redemption. Without a time, two redemptions of the same reward
    // have the same one.
    if let Some(t) = t {
        check_age(delivery.now, t)?;
        *idempotency = Some(IdempotencyRecord::from_delivery(body.hmac()));
    }

    let customer = wire::CustomerQuery { customer_id, customer_email }
        .into_customer_ref()
        .ok_or_else(|| missing_customer("/customer_email"))?;
    let amount = amount.map(Amount::new).transpose();
    let amount = amount.map_err(|error| {
        wire_problem(WireError { pointer: "/amount".to_owned(), reason: error.to_string() })
    })?;

    let action = RedemptionAction::Issue {
        customer,
        reward: reward_id,
        amount,
        subtotal: None,
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
    let reason = "an id or an e-mail address is required".to_owned();
    wire_problem(WireError { pointer: pointer.to_owned(), reason })
}

fn record_installation(
    platform: &str,
    shop: ShopId,
    Delivery { now, allowed_networks, .. }: Delivery<'_>,
    body: VerifiedBody<'_>,
) -> Result<HandlerPlan, Problem> {
    let wire::AppInstalled { shop_url, api_endpoint } = read(body)?;
    let checked = api_endpoint
        .iter()
        .try_for_each(|url| check_endpoint(url, allowed_networks));
    checked.map_err(|error| {
        wire_problem(WireError {
            pointer: "/api_endpoint".to_owned(),
            reason: error.to_string(),
        })
    })?;
    let integration = Integration { platform: platform.to_owned(), shop_url, api_endpoint };

    // No transaction, but it writes to the store, so it runs on a separate thread.
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
    now: Timestamp,
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
        .map(|customer| customer.into_profile_change(now))
        .unwrap_or_default();
    Ok(write_action(Action::Order { command, customer, change }))
}

fn cancel_order(body: VerifiedBody<'_>) -> Result<HandlerPlan, Problem> {
    let wire::OrderRef { id: order, .. } = read(body)?;
    Ok(order_command(Command::CancelOrder { order, at: None }))
}

fn close_order(body: VerifiedBody<'_>) -> Result<HandlerPlan, Problem> {
    let wire::OrderRef { id: order, .. } = read(body)?;
    Ok(order_command(Command::CloseOrder { order, at: None }))
}

fn refund_order(
    store: &dyn Store,
    shop: &Shop,
    delivery: &str,
    body: VerifiedBody<'_>,
) -> Result<HandlerPlan, Problem> {
    let body: wire::Refund = read(body)?;
    // Products are named by their own ids, which the order's lines have.
    let order = if body.products.is_empty() {
        None
    } else {
        store.order(shop.id, &body.id).map_err(error::from_failure)?
    };
    let order = order.as_ref().map(|order| &order.state);
    let refunded = body.to_refunded(order, shop.minor_digits()).map_err(wire_problem)?;
    let Some(refunded) = refunded else {
        let unchanged =
            WebhookResponse { ok: true, points_changed: Points::ZERO, point_balance: None };
        return Ok(HandlerPlan::Respond(EncodedResponse::ok(&unchanged)));
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

fn save_customer(now: Timestamp, body: VerifiedBody<'_>) -> Result<HandlerPlan, Problem> {
    let body = read::<wire::Customer>(body)?;
    let email_proof = email_proof(body.email_verified);
    let (customer, change) = body.into_profile_change(now);
    let customer = customer.ok_or_else(|| missing_customer("/id"))?;
    Ok(write_action(Action::Customer {
        customer,
        existence: Existence::Any,
        change,
        // The plugin could not correct a conflict, and would lose the other changes.
        email_conflict: EmailConflict::Ignore,
        email_proof,
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

/// A reward, also under the names that the plugin for Magento reads in its cart.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StoreReward")]
pub(crate) struct StoreRewardResponse<'a> {
    #[serde(flatten)]
    reward: RewardResponse<'a>,
    /// The name.
    reward_name: &'a str,
    /// The cost; 0 where the customer chooses the amount.
    #[schemars(with = "schema::Points")]
    points_required: Points,
    /// The minimum subtotal; 0 where there is none.
    #[schemars(with = "schema::NumericAmount")]
    minimum_order_amount: Box<RawValue>,
}

impl<'a> StoreRewardResponse<'a> {
    fn new(reward: &'a Reward, program: &Program) -> Self {
        let cost = match &reward.offer {
            RewardPricing::Fixed { cost, .. } => *cost,
            RewardPricing::Variable(_) => Points::ZERO,
        };
        Self {
            reward: RewardResponse::new(reward, program),
            reward_name: &reward.name,
            points_required: cost,
            minimum_order_amount: to_json_number(reward.minimum_subtotal.unwrap_or_default()),
        }
    }
}

/// An amount as a JSON number, written from its digits.
fn to_json_number(amount: Amount) -> Box<RawValue> {
    let digits = amount.get().normalize().to_string();
    RawValue::from_string(digits).unwrap_or_default()
}

/// A customer's balance and rewards, the balance also under the name that the plugin for
/// Magento reads.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StoreCustomerRewards")]
pub(crate) struct StoreCustomerResponse<'a> {
    #[serde(flatten)]
    customer: CustomerRewardsResponse<'a>,
    /// The balance.
    #[schemars(with = "schema::Points")]
    points: Points,
}

impl<'a> StoreCustomerResponse<'a> {
    fn new(rewards: &'a RewardsView) -> Self {
        let customer = CustomerRewardsResponse::new(rewards);
        Self { points: customer.point_balance(), customer }
    }
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

//! Referrals on the wire.

use std::collections::BTreeSet;

use loyalty_core::{CustomerId, OrderId, Points, Timestamp};
use loyalty_store::{CustomerView, ProfileChange, Receipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::BodyErrorCode;
use super::json::field::Text;
use super::schema;
use super::value::TimeText;
use crate::problem::Problem;

/// The most identifiers of a household in a request.
const MAX_HOUSEHOLD_IDENTIFIERS: usize = 20;

/// A request for a customer's referral code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReferralCodeRequest")]
pub(crate) struct ReferralCodeBody {
    /// Identifiers of the household in the shop's terms, such as a device, an address or a card.
    #[schemars(length(max = MAX_HOUSEHOLD_IDENTIFIERS))]
    household: Option<Vec<Text<200>>>,
}

/// A customer who was referred by another one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReferralJoinRequest")]
pub(crate) struct ReferralJoinBody {
    /// The referrer's code.
    code: Text<100>,
    /// Identifiers of the household in the shop's terms, such as a device, an address or a card.
    #[schemars(length(max = MAX_HOUSEHOLD_IDENTIFIERS))]
    household: Option<Vec<Text<200>>>,
}

impl ReferralCodeBody {
    pub(crate) fn parse(self) -> Result<ProfileChange, Problem> {
        parse_household(self.household)
    }
}

impl ReferralJoinBody {
    /// Returns the code and the change of the profile.
    pub(crate) fn parse(self) -> Result<(String, ProfileChange), Problem> {
        Ok((self.code.into_string(), parse_household(self.household)?))
    }
}

fn parse_household(identifiers: Option<Vec<Text<200>>>) -> Result<ProfileChange, Problem> {
    if identifiers
        .as_ref()
        .is_some_and(|identifiers| identifiers.len() > MAX_HOUSEHOLD_IDENTIFIERS)
    {
        let detail =
            format!("A household can have at most {MAX_HOUSEHOLD_IDENTIFIERS} identifiers.");
        return Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail)
            .with_param("/household"));
    }
    let identifiers = identifiers.map(|identifiers| {
        identifiers
            .into_iter()
            .map(Text::into_string)
            .collect::<BTreeSet<_>>()
    });
    Ok(ProfileChange { household: identifiers, ..ProfileChange::default() })
}

/// A customer's referrals.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Referrals")]
pub(crate) struct ReferralsResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<&'a CustomerId>,
    /// The customer's referral code; null before the first request for it.
    code: Option<&'a str>,
    /// True where the customer was referred by another one.
    joined: bool,
    /// The order that completed the customer's own referral.
    #[schemars(with = "Option<schema::Id>")]
    completed_by: Option<&'a OrderId>,
    /// The number of completed referrals.
    #[schemars(with = "schema::Count")]
    friends: u32,
    /// The points for them, by the referred customers' orders.
    rewards: Vec<ReferralRewardResponse<'a>>,
}

/// The points for one referral.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReferralReward")]
struct ReferralRewardResponse<'a> {
    #[schemars(with = "schema::Id")]
    order_id: &'a OrderId,
    #[schemars(with = "schema::Points")]
    points: Points,
    at: TimeText,
    /// True where the points were taken back with the order.
    returned: bool,
}

impl<'a> ReferralsResponse<'a> {
    pub(crate) fn new(customer: &'a CustomerView) -> Self {
        let activity = customer.account().activity();
        let reward = |(order_id, bonus): (&'a OrderId, &loyalty_core::account::Bonus)| {
            let at: Timestamp = bonus.at;
            ReferralRewardResponse {
                order_id,
                points: bonus.points,
                at: TimeText(at),
                returned: bonus.taken_back,
            }
        };
        Self {
            customer_id: customer.record().id.as_ref(),
            code: activity.referral_code(),
            joined: activity.referral().is_some(),
            completed_by: activity.referral().and_then(|referral| referral.order.as_ref()),
            friends: activity.referral_count(),
            rewards: activity.sent().iter().map(reward).collect(),
        }
    }

    pub(crate) fn from_receipt(receipt: &'a Receipt) -> Option<Self> {
        receipt.customer.as_ref().map(Self::new)
    }
}

//! Referrals on the wire.

use std::collections::BTreeSet;

use loyalty_core::{CustomerId, OrderId, Points, Timestamp};
use loyalty_store::{CustomerView, ProfileChange, Receipt};
use serde::{Deserialize, Serialize};

use super::json::BodyErrorCode;
use super::json::field::Text;
use super::value::TimeText;
use crate::problem::Problem;

/// How many signs of a household a shop can send.
const MAX_HOUSEHOLD_IDENTIFIERS: usize = 20;

/// A customer asks for a code to give to friends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReferralCodeBody {
    household: Option<Vec<Text<200>>>,
}

/// A customer came by a friend's code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReferralJoinBody {
    code: Text<100>,
    household: Option<Vec<Text<200>>>,
}

impl ReferralCodeBody {
    pub(crate) fn parse(self) -> Result<ProfileChange, Problem> {
        parse_household(self.household)
    }
}

impl ReferralJoinBody {
    /// The code, and what is told of the customer.
    pub(crate) fn parse(self) -> Result<(String, ProfileChange), Problem> {
        Ok((self.code.into_string(), parse_household(self.household)?))
    }
}

fn parse_household(signs: Option<Vec<Text<200>>>) -> Result<ProfileChange, Problem> {
    if signs
        .as_ref()
        .is_some_and(|signs| signs.len() > MAX_HOUSEHOLD_IDENTIFIERS)
    {
        let detail = format!("A household can have at most {MAX_HOUSEHOLD_IDENTIFIERS} signs.");
        return Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail)
            .with_param("/household"));
    }
    let signs =
        signs.map(|signs| signs.into_iter().map(Text::into_string).collect::<BTreeSet<_>>());
    Ok(ProfileChange { household: signs, ..ProfileChange::default() })
}

/// A customer's referrals.
#[derive(Debug, Serialize)]
pub(crate) struct ReferralsResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a CustomerId>,
    /// The code to give to friends; null before one was asked for.
    code: Option<&'a str>,
    /// Whether this customer came by a friend's code.
    joined: bool,
    /// The order that completed that, where one did.
    completed_by: Option<&'a OrderId>,
    /// How many friends were brought and stayed.
    friends: u32,
    /// What was given for them, by their orders.
    rewards: Vec<ReferralRewardResponse<'a>>,
}

#[derive(Debug, Serialize)]
struct ReferralRewardResponse<'a> {
    order_id: &'a OrderId,
    points: Points,
    at: TimeText,
    /// Taken back, since the order was.
    returned: bool,
}

impl<'a> ReferralsResponse<'a> {
    pub(crate) fn new(customer: &'a CustomerView) -> Self {
        let deeds = customer.account().activity();
        let reward = |(order_id, given): (&'a OrderId, &loyalty_core::account::Bonus)| {
            let at: Timestamp = given.at;
            ReferralRewardResponse {
                order_id,
                points: given.points,
                at: TimeText(at),
                returned: given.taken_back,
            }
        };
        Self {
            customer_id: customer.record().id.as_ref(),
            code: deeds.referral_code(),
            joined: deeds.referral().is_some(),
            completed_by: deeds.referral().and_then(|joined| joined.order.as_ref()),
            friends: deeds.referral_count(),
            rewards: deeds.sent().iter().map(reward).collect(),
        }
    }

    pub(crate) fn from_receipt(receipt: &'a Receipt) -> Option<Self> {
        receipt.customer.as_ref().map(Self::new)
    }
}

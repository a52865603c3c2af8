//! Referrals on the wire.

use std::collections::BTreeSet;

use loyalty_core::{CustomerId, OrderId, Points, Timestamp};
use loyalty_store::{CustomerView, ProfileChange, Receipt};
use serde::{Deserialize, Serialize};

use super::json::Code;
use super::json::field::Text;
use super::value::Time;
use crate::problem::Problem;

/// How many signs of a household a shop can send.
const MAX_SIGNS: usize = 20;

/// A customer asks for a code to give to friends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeBody {
    household: Option<Vec<Text<200>>>,
}

/// A customer came by a friend's code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinBody {
    code: Text<100>,
    household: Option<Vec<Text<200>>>,
}

impl CodeBody {
    pub(crate) fn parse(self) -> Result<ProfileChange, Problem> {
        household(self.household)
    }
}

impl JoinBody {
    /// The code, and what is told of the customer.
    pub(crate) fn parse(self) -> Result<(String, ProfileChange), Problem> {
        Ok((self.code.into_string(), household(self.household)?))
    }
}

fn household(signs: Option<Vec<Text<200>>>) -> Result<ProfileChange, Problem> {
    if signs.as_ref().is_some_and(|signs| signs.len() > MAX_SIGNS) {
        let detail = format!("A household can have at most {MAX_SIGNS} signs.");
        return Err(Problem::unprocessable(Code::OutOfRange.as_str(), detail).at("/household"));
    }
    let signs =
        signs.map(|signs| signs.into_iter().map(Text::into_string).collect::<BTreeSet<_>>());
    Ok(ProfileChange { household: signs, ..ProfileChange::default() })
}

/// A customer's referrals.
#[derive(Debug, Serialize)]
pub(crate) struct ReferralsAnswer<'a> {
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
    rewards: Vec<RewardAnswer<'a>>,
}

#[derive(Debug, Serialize)]
struct RewardAnswer<'a> {
    order_id: &'a OrderId,
    points: Points,
    at: Time,
    /// Taken back, since the order was.
    returned: bool,
}

impl<'a> ReferralsAnswer<'a> {
    pub(crate) fn new(customer: &'a CustomerView) -> Self {
        let deeds = customer.account().activity();
        let reward = |(order_id, given): (&'a OrderId, &loyalty_core::account::Bonus)| {
            let at: Timestamp = given.at;
            RewardAnswer {
                order_id,
                points: given.points,
                at: Time(at),
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

    pub(crate) fn of_receipt(receipt: &'a Receipt) -> Option<Self> {
        receipt.customer.as_ref().map(Self::new)
    }
}

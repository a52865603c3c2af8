//! The routes of redemptions.

use hyper::Method;

use crate::endpoint::redemptions;
use crate::problem::code;
use crate::route::{Operation, Route, dry_runnable, get};
use crate::wire::redemption::{
    CustomerRewardsResponse, EmptyBody, RedemptionBody, RedemptionResponse, RedemptionsResponse,
    RewardsResponse, UseBody,
};

pub(super) const ROUTES: &[Route] = &[
    get(
        "/v1/rewards",
        &[],
        redemptions::rewards,
        Operation::new("listRewards", "Lists the rewards of the program in force")
            .returns::<RewardsResponse<'_>>(),
    ),
    get(
        "/v1/customers/{customer_id}/rewards",
        &[],
        redemptions::customer_rewards,
        Operation::new(
            "listCustomerRewards",
            "Lists the rewards for a customer, with the reasons why some are not \
             available",
        )
        .returns::<CustomerRewardsResponse<'_>>()
        .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    get(
        "/v1/customers/{customer_id}/redemptions",
        &["limit", "cursor"],
        redemptions::list,
        Operation::new("listRedemptions", "Lists a customer's redemptions, newest first")
            .returns::<RedemptionsResponse<'_>>()
            .with_response_headers(&["Link"])
            .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
    get(
        "/v1/redemptions",
        &["status", "limit", "cursor"],
        redemptions::list_of_shop,
        Operation::new("listShopRedemptions", "Lists the redemptions of the shop, newest first")
            .described(
                "`status` is `issued`, `used`, `cancelled` or `expired`. One that has ended is \
             listed as expired when that is recorded, some seconds after its end; until then it \
             is in the list without a status only.",
            )
            .returns::<RedemptionsResponse<'_>>()
            .with_response_headers(&["Link"])
            .rejects(&[(422, &[code::INVALID_VALUE])]),
    ),
    dry_runnable(
        Method::POST,
        "/v1/redemptions",
        redemptions::issue,
        Operation::new(
            "redeemReward",
            "Exchanges points for a reward: subtracts the points and creates the code",
        )
        .accepts::<RedemptionBody>(r#"{"customer_id": "42", "reward_id": "five"}"#)
        .creates::<RedemptionResponse<'_>>()
        .rejects(&[
            (404, &[code::CUSTOMER_NOT_FOUND]),
            (
                422,
                &[
                    code::INSUFFICIENT_POINTS,
                    code::INVALID_AMOUNT,
                    code::MAXIMUM_SHARE_EXCEEDED,
                    code::POINTS_OUT_OF_RANGE,
                    code::REWARD_LIMIT_REACHED,
                    code::REWARD_NOT_FOR_CUSTOMER,
                    code::REWARD_NOT_OPEN,
                    code::REWARD_SOLD_OUT,
                    code::REWARD_TOO_FINE,
                    code::UNKNOWN_REWARD,
                ],
            ),
        ]),
    ),
    get(
        "/v1/redemptions/{redemption_id}",
        &[],
        redemptions::show,
        Operation::new("showRedemption", "Shows a redemption")
            .returns::<RedemptionResponse<'_>>()
            .rejects(&[(404, &[code::REDEMPTION_NOT_FOUND])]),
    ),
    dry_runnable(
        Method::POST,
        "/v1/redemptions/{redemption_id}/cancel",
        redemptions::cancel,
        Operation::new(
            "cancelRedemption",
            "Cancels a redemption: returns the points and disables the code",
        )
        .may_accept::<EmptyBody>(r"{}")
        .returns::<RedemptionResponse<'_>>()
        .rejects(&[(404, &[code::REDEMPTION_NOT_FOUND]), (422, &[code::REDEMPTION_NOT_OPEN])]),
    ),
    dry_runnable(
        Method::POST,
        "/v1/redemptions/{redemption_id}/use",
        redemptions::mark_used,
        Operation::new("useRedemption", "Marks a redemption as used")
            .may_accept::<UseBody>(r#"{"order_id": "1001"}"#)
            .returns::<RedemptionResponse<'_>>()
            .rejects(&[(404, &[code::REDEMPTION_NOT_FOUND]), (422, &[code::REDEMPTION_NOT_OPEN])]),
    ),
];

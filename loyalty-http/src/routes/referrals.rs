//! The routes of referrals.

use hyper::Method;

use crate::endpoint::referrals;
use crate::problem::code;
use crate::route::{Operation, Route, dry_runnable, get};
use crate::wire::referral::{ReferralCodeBody, ReferralJoinBody, ReferralsResponse};

pub(super) const ROUTES: &[Route] = &[
    dry_runnable(
        Method::POST,
        "/v1/customers/{customer_id}/referral-code",
        referrals::issue,
        Operation::new(
            "issueReferralCode",
            "Issues a customer's referral code, or shows the one that exists",
        )
        .accepts::<ReferralCodeBody>(r#"{"household": ["device-1"]}"#)
        .returns::<ReferralsResponse<'_>>()
        .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND]), (422, &[code::REFERRALS_OFF])]),
    ),
    dry_runnable(
        Method::POST,
        "/v1/customers/{customer_id}/referral",
        referrals::join,
        Operation::new("joinByReferral", "Records that a customer was referred by another one")
            .accepts::<ReferralJoinBody>(r#"{"code": "FRIEND-OF-GRACE"}"#)
            .returns::<ReferralsResponse<'_>>()
            .rejects(&[
                (404, &[code::CUSTOMER_NOT_FOUND, code::REFERRAL_CODE_NOT_FOUND]),
                (422, &[code::REFERRAL_REFUSED, code::REFERRALS_OFF]),
                (429, &[code::TOO_MANY_REQUESTS]),
            ]),
    ),
    get(
        "/v1/customers/{customer_id}/referrals",
        &[],
        referrals::show,
        Operation::new(
            "showReferrals",
            "Shows a customer's referral code, referrals and their points",
        )
        .returns::<ReferralsResponse<'_>>()
        .rejects(&[(404, &[code::CUSTOMER_NOT_FOUND])]),
    ),
];

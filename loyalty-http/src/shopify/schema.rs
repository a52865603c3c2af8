//! The JSON Schemas of the objects of one member that Shopify's clients send and get.
#![allow(dead_code, reason = "the types are read by their derived schemas alone")]

use schemars::JsonSchema;

pub(crate) use super::discount_codes::CodeEnvelope as DiscountCodeChangeRequest;
use super::discount_codes::{
    ShopifyBatchCodeResponse, ShopifyBatchResponse, ShopifyCodeBody, ShopifyCodeResponse,
};
pub(crate) use super::price_rules::PriceRuleEnvelope as PriceRuleRequest;
use super::price_rules::ShopifyPriceRuleResponse;
pub(crate) use super::wire::{
    CustomerEnvelope as CustomerChangeRequest, SavedSearchEnvelope as SavedSearchRequest,
};
use super::wire::{
    ShopifyCustomerBody, ShopifyCustomerResponse, ShopifyProductResponse,
    ShopifySavedSearchResponse,
};
use crate::wire::schema::{self, Selected};

/// A new customer, with the shop's own id, an e-mail address or both.
#[derive(JsonSchema)]
#[schemars(
    rename = "ShopifyNewCustomer",
    extend("anyOf" = [schema::needs(&[("own_id", "string")]), schema::needs(&[("email", "string")])])
)]
pub(crate) struct NewCustomer(ShopifyCustomerBody);

/// A new discount code.
#[derive(JsonSchema)]
#[schemars(
    rename = "ShopifyNewDiscountCode",
    extend("required" = ["code"], "properties" = { "code": { "type": "string" } })
)]
pub(crate) struct NewDiscountCode(ShopifyCodeBody);

macro_rules! objects {
    ($($(#[$attribute:meta])* $name:ident as $title:tt { $member:ident: $type:ty })*) => {$(
        $(#[$attribute])*
        #[derive(JsonSchema)]
        #[schemars(rename = $title, deny_unknown_fields)]
        pub(crate) struct $name {
            $member: $type,
        }
    )*};
}

objects! {
    NewCustomerRequest as "ShopifyNewCustomerRequest" { customer: NewCustomer }
    CustomerObject as "ShopifyCustomerObject" { customer: ShopifyCustomerResponse<'static> }
    CustomerPart as "ShopifyCustomerPartObject" {
        customer: Selected<ShopifyCustomerResponse<'static>>
    }
    CustomerList as "ShopifyCustomers" {
        customers: Vec<Selected<ShopifyCustomerResponse<'static>>>
    }
    SavedSearchObject as "ShopifySavedSearchObject" {
        customer_saved_search: ShopifySavedSearchResponse<'static>
    }
    SavedSearchPart as "ShopifySavedSearchPartObject" {
        customer_saved_search: Selected<ShopifySavedSearchResponse<'static>>
    }
    SavedSearchList as "ShopifySavedSearches" {
        customer_saved_searches: Vec<Selected<ShopifySavedSearchResponse<'static>>>
    }
    ProductPart as "ShopifyProductPartObject" {
        product: Selected<ShopifyProductResponse<'static>>
    }
    ProductList as "ShopifyProducts" {
        products: Vec<Selected<ShopifyProductResponse<'static>>>
    }
    PriceRuleObject as "ShopifyPriceRuleObject" { price_rule: ShopifyPriceRuleResponse<'static> }
    PriceRulePart as "ShopifyPriceRulePartObject" {
        price_rule: Selected<ShopifyPriceRuleResponse<'static>>
    }
    PriceRuleList as "ShopifyPriceRules" {
        price_rules: Vec<Selected<ShopifyPriceRuleResponse<'static>>>
    }
    NewDiscountCodeRequest as "ShopifyNewDiscountCodeRequest" { discount_code: NewDiscountCode }
    DiscountCodeObject as "ShopifyDiscountCodeObject" {
        discount_code: ShopifyCodeResponse<'static>
    }
    DiscountCodePart as "ShopifyDiscountCodePartObject" {
        discount_code: Selected<ShopifyCodeResponse<'static>>
    }
    DiscountCodeList as "ShopifyDiscountCodes" {
        discount_codes: Vec<Selected<ShopifyCodeResponse<'static>>>
    }
    BatchObject as "ShopifyBatchObject" { discount_code_creation: ShopifyBatchResponse }
    BatchCodeList as "ShopifyBatchCodes" { discount_codes: Vec<ShopifyBatchCodeResponse<'static>> }
}

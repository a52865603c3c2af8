//! What price rules name, for clients that know numbers only: a product, a variant or a customer whose id is no
//! number is told as the number that we gave it, and taken for itself when that number comes back.
//!
//! A guest has no id: a rule keeps their number, which the store knows them by.

use std::collections::{BTreeMap, BTreeSet};

use loyalty_core::discount::PriceRuleParts;
use loyalty_core::{CustomerId, ProductId, ShopId, VariantId};
use loyalty_store::{CustomerRef, Failure, NumericId, ProductRef, Store};

/// Other names for what a rule names.
#[derive(Clone, Debug, Default)]
pub(super) struct IdMapping {
    products: BTreeMap<ProductId, ProductId>,
    variants: BTreeMap<VariantId, VariantId>,
    customers: BTreeMap<CustomerId, CustomerId>,
}

impl IdMapping {
    /// The shop's own ids of what is named by numbers that we gave.
    pub(super) fn to_shop_ids(
        store: &dyn Store,
        shop: ShopId,
        parts: &PriceRuleParts,
    ) -> Result<Self, Failure> {
        let given =
            |text: &str| NumericId::parse(text).filter(|number| number.assigned_index().is_some());
        let product = |id: &ProductId| {
            let Some(number) = given(id.as_str()) else { return Ok(None) };
            let found = store.product(shop, &ProductRef::Number(number))?;
            Ok(found.map(|record| record.product.id.clone()))
        };
        let variant = |id: &VariantId| match given(id.as_str()) {
            Some(number) => store.variant_by_number(shop, number),
            None => Ok(None),
        };
        let customer = |id: &CustomerId| {
            let Some(number) = given(id.as_str()) else { return Ok(None) };
            Ok(super::find_customer(store, shop, number)?
                .and_then(|customer| customer.record().id.clone()))
        };
        Self::build(parts, product, variant, customer)
    }

    /// The numbers of what is named by ids that are none, and of guests who are none any more.
    pub(super) fn to_numbers(
        store: &dyn Store,
        shop: ShopId,
        parts: &PriceRuleParts,
    ) -> Result<Self, Failure> {
        let product = |id: &ProductId| {
            if NumericId::parse(id.as_str()).is_some() {
                return Ok(None);
            }
            let found = store.product(shop, &ProductRef::Id(id.clone()))?;
            Ok(found.and_then(|record| ProductId::new(record.number.to_string()).ok()))
        };
        let variant = |id: &VariantId| {
            if NumericId::parse(id.as_str()).is_some() {
                return Ok(None);
            }
            let number = store.variant_number(shop, id)?;
            Ok(number.and_then(|number| VariantId::new(number.to_string()).ok()))
        };
        let customer = |id: &CustomerId| {
            let found = match NumericId::parse(id.as_str()) {
                Some(number) if number.assigned_index().is_some() => {
                    super::find_customer(store, shop, number)?
                }
                Some(_) => None,
                None => store.customer(shop, &CustomerRef::Id(id.clone()))?,
            };
            let number = found.map(|customer| NumericId::from_customer(customer.record()));
            Ok(number.and_then(|number| CustomerId::new(number.to_string()).ok()))
        };
        Self::build(parts, product, variant, customer)
    }

    fn build(
        parts: &PriceRuleParts,
        product: impl Fn(&ProductId) -> Result<Option<ProductId>, Failure>,
        variant: impl Fn(&VariantId) -> Result<Option<VariantId>, Failure>,
        customer: impl Fn(&CustomerId) -> Result<Option<CustomerId>, Failure>,
    ) -> Result<Self, Failure> {
        let mut names = Self::default();
        for items in [&parts.entitled, &parts.excluded, &parts.prerequisites] {
            collect_ids(&mut names.products, &items.products, &product)?;
            collect_ids(&mut names.variants, &items.variants, &variant)?;
        }
        collect_ids(&mut names.customers, &parts.prerequisite_customer_ids, customer)?;
        Ok(names)
    }

    /// The same parts with the other names.
    pub(super) fn apply(&self, mut parts: PriceRuleParts) -> PriceRuleParts {
        for items in [&mut parts.entitled, &mut parts.excluded, &mut parts.prerequisites] {
            replace_ids(&mut items.products, &self.products);
            replace_ids(&mut items.variants, &self.variants);
        }
        replace_ids(&mut parts.prerequisite_customer_ids, &self.customers);
        parts
    }
}

fn collect_ids<T: Clone + Ord>(
    names: &mut BTreeMap<T, T>,
    ids: &BTreeSet<T>,
    name: impl Fn(&T) -> Result<Option<T>, Failure>,
) -> Result<(), Failure> {
    for id in ids {
        names.extend(name(id)?.map(|other| (id.clone(), other)));
    }
    Ok(())
}

fn replace_ids<T: Clone + Ord>(ids: &mut BTreeSet<T>, names: &BTreeMap<T, T>) {
    *ids = std::mem::take(ids)
        .into_iter()
        .map(|id| names.get(&id).cloned().unwrap_or(id))
        .collect();
}

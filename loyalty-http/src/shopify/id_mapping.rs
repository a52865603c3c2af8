//! Maps the ids in a price rule for clients that know numbers only. A product, variant or
//! customer whose id is not a number is shown by its assigned number, and that number is
//! mapped back to the id.
//!
//! A guest has no id: a rule contains their assigned number. The only variant of a product
//! without variants has the product's number, and stands for the product.

use std::collections::{BTreeMap, BTreeSet};

use loyalty_core::discount::PriceRuleParts;
use loyalty_core::{CustomerId, ProductId, ShopId, VariantId};
use loyalty_store::{CustomerRef, Failure, NumericId, ProductRef, Store};

/// For some ids of a rule, the ids to replace them with.
#[derive(Clone, Debug, Default)]
pub(super) struct IdMapping {
    products: BTreeMap<ProductId, ProductId>,
    variants: BTreeMap<VariantId, VariantId>,
    customers: BTreeMap<CustomerId, CustomerId>,
    /// Variants that stand for a product without variants.
    only_variants: BTreeMap<VariantId, ProductId>,
}

impl IdMapping {
    /// From assigned numbers to the shop's own ids.
    pub(super) fn to_shop_ids(
        store: &dyn Store,
        shop: ShopId,
        parts: &PriceRuleParts,
    ) -> Result<Self, Failure> {
        let assigned =
            |text: &str| NumericId::parse(text).filter(|number| number.assigned_index().is_some());

        let product = |id: &ProductId| {
            let Some(number) = assigned(id.as_str()) else { return Ok(None) };
            let record = store.product(shop, &ProductRef::Number(number))?;
            Ok(record.map(|record| record.product.id.clone()))
        };
        let variant = |id: &VariantId| match assigned(id.as_str()) {
            Some(number) => store.variant_by_number(shop, number),
            None => Ok(None),
        };
        let customer = |id: &CustomerId| {
            let Some(number) = assigned(id.as_str()) else { return Ok(None) };
            Ok(super::find_customer(store, shop, number)?
                .and_then(|customer| customer.record().id.clone()))
        };

        let mut mapping = Self::build(parts, product, variant, customer)?;
        for items in [&parts.entitled, &parts.excluded, &parts.prerequisites] {
            for id in items.variants.iter().filter(|id| !mapping.variants.contains_key(*id)) {
                let Some(number) = NumericId::parse(id.as_str()) else { continue };
                let record = store.product(shop, &ProductRef::Number(number))?;
                let without_variants = record.filter(|record| record.product.variants.is_empty());
                mapping
                    .only_variants
                    .extend(without_variants.map(|record| (id.clone(), record.product.id.clone())));
            }
        }
        Ok(mapping)
    }

    /// From ids that are not numbers to assigned numbers, and from guests' numbers to
    /// those of the customers that they have become.
    pub(super) fn to_numbers(
        store: &dyn Store,
        shop: ShopId,
        parts: &PriceRuleParts,
    ) -> Result<Self, Failure> {
        let product = |id: &ProductId| {
            if NumericId::parse(id.as_str()).is_some() {
                return Ok(None);
            }
            let record = store.product(shop, &ProductRef::Id(id.clone()))?;
            Ok(record.and_then(|record| ProductId::new(record.number.to_string()).ok()))
        };
        let variant = |id: &VariantId| {
            if NumericId::parse(id.as_str()).is_some() {
                return Ok(None);
            }
            let number = store.variant_number(shop, id)?;
            Ok(number.and_then(|number| VariantId::new(number.to_string()).ok()))
        };
        let customer = |id: &CustomerId| {
            let customer = match NumericId::parse(id.as_str()) {
                Some(number) if number.assigned_index().is_some() => {
                    super::find_customer(store, shop, number)?
                }
                Some(_) => None,
                None => store.customer(shop, &CustomerRef::Id(id.clone()))?,
            };
            let number = customer.map(|customer| NumericId::from_customer(customer.record()));
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
        let mut mapping = Self::default();
        for items in [&parts.entitled, &parts.excluded, &parts.prerequisites] {
            collect_ids(&mut mapping.products, &items.products, &product)?;
            collect_ids(&mut mapping.variants, &items.variants, &variant)?;
        }
        collect_ids(&mut mapping.customers, &parts.prerequisite_customer_ids, customer)?;
        Ok(mapping)
    }

    /// The parts with their ids replaced.
    pub(super) fn apply(&self, mut parts: PriceRuleParts) -> PriceRuleParts {
        for items in [&mut parts.entitled, &mut parts.excluded, &mut parts.prerequisites] {
            replace_ids(&mut items.products, &self.products);
            replace_ids(&mut items.variants, &self.variants);
            let of_products = &self.only_variants;
            items.products.extend(
                items
                    .variants
                    .iter()
                    .filter_map(|variant| of_products.get(variant).cloned()),
            );
            items.variants.retain(|variant| !of_products.contains_key(variant));
        }
        replace_ids(&mut parts.prerequisite_customer_ids, &self.customers);
        parts
    }
}

fn collect_ids<T: Clone + Ord>(
    mapping: &mut BTreeMap<T, T>,
    ids: &BTreeSet<T>,
    replacement: impl Fn(&T) -> Result<Option<T>, Failure>,
) -> Result<(), Failure> {
    for id in ids {
        mapping.extend(replacement(id)?.map(|other| (id.clone(), other)));
    }
    Ok(())
}

fn replace_ids<T: Clone + Ord>(ids: &mut BTreeSet<T>, mapping: &BTreeMap<T, T>) {
    *ids = std::mem::take(ids)
        .into_iter()
        .map(|id| mapping.get(&id).cloned().unwrap_or(id))
        .collect();
}

//! Cases for products, categories and saved searches.

use std::collections::BTreeSet;

use super::test_shop::*;
use crate::{
    Action, CatalogueAction, CatalogueOutcome, Category, NumericId, Outcome, Product, ProductRef,
    ProductStatus, SearchQuery, Store, UpsertCounts, Variant,
};
use loyalty_core::{CategoryId, ProductId, VariantId};

use super::contents::StoreContents;

fn product_id(text: &str) -> ProductId {
    ProductId::new(text).unwrap()
}

pub fn product(id: &str, title: &str) -> Product {
    Product {
        id: product_id(id),
        title: title.to_owned(),
        categories: BTreeSet::from([CategoryId::new("tea").unwrap()]),
        price: Some("4.50".parse().unwrap()),
        vendor: Some("Assam".to_owned()),
        product_type: None,
        tags: BTreeSet::new(),
        status: ProductStatus::Active,
        variants: Vec::new(),
    }
}

pub fn variant(id: &str) -> Variant {
    Variant {
        id: VariantId::new(id).unwrap(),
        title: None,
        sku: Some(format!("sku-{id}")),
        price: None,
    }
}

pub fn category(id: &str, name: &str) -> Category {
    Category { id: CategoryId::new(id).unwrap(), name: name.to_owned() }
}

fn execute(shop: &TestShop<'_>, action: CatalogueAction) -> Outcome {
    shop.execute(Action::Catalogue(action))
}

fn put_products(shop: &TestShop<'_>, products: Vec<Product>) -> (Vec<NumericId>, UpsertCounts) {
    match execute(shop, CatalogueAction::PutProducts(products))
        .unwrap()
        .catalogue_outcome
    {
        Some(CatalogueOutcome::Products(products, tally)) => {
            (products.iter().map(|product| product.number).collect(), tally)
        }
        other => panic!("{other:?}"),
    }
}

fn counts(created: u64, updated: u64, unchanged: u64) -> UpsertCounts {
    UpsertCounts { created, updated, unchanged }
}

fn parse_query(text: &str) -> SearchQuery {
    SearchQuery::parse(text, at("2026-01-01T12:00:00Z"), loyalty_core::Zone::UTC).unwrap()
}

fn save_search(shop: &TestShop<'_>, name: &str, text: &str) -> Result<NumericId, &'static str> {
    match execute(
        shop,
        CatalogueAction::SaveSearch { name: name.to_owned(), query: parse_query(text) },
    ) {
        Ok(receipt) => match receipt.catalogue_outcome {
            Some(CatalogueOutcome::Search(search)) => Ok(search.number),
            other => panic!("{other:?}"),
        },
        Err(rejection) => Err(rejection.code()),
    }
}

pub fn products_are_stored_as_reported(store: &dyn Store) {
    let shop = TestShop::new(store);
    let green = Product {
        variants: vec![variant("1"), variant("xl")],
        ..product("green", "Green")
    };
    assert_eq!(put_products(&shop, vec![green.clone()]).1, counts(1, 0, 0));

    let later = shop.at("2026-02-01T00:00:00Z");
    assert_eq!(put_products(&later, vec![green.clone()]).1, counts(0, 0, 1));

    let read = || {
        store
            .product(shop.id, &ProductRef::Id(product_id("green")))
            .unwrap()
            .unwrap()
    };
    let first = read();
    assert_eq!(
        (&first.product, first.created_at, first.updated_at),
        (&green, shop.now, shop.now)
    );

    let dearer = Product {
        price: Some("5".parse().unwrap()),
        status: ProductStatus::Draft,
        ..green
    };
    assert_eq!(
        put_products(&later, vec![dearer.clone(), product("black", "Black")]).1,
        counts(1, 1, 0)
    );

    let second = read();
    assert_eq!(
        (&second.product, second.created_at, second.updated_at),
        (&dearer, shop.now, later.now)
    );
    assert_eq!((second.number, &second.variant_numbers), (first.number, &first.variant_numbers));
    assert_eq!(store.product(shop.id, &ProductRef::Number(first.number)).unwrap(), Some(second));
    assert_eq!(store.product(shop.id, &ProductRef::Id(product_id("Green"))).unwrap(), None);
    assert_eq!(store.count_products(shop.id).unwrap(), 2);
}

/// A numeric id is its own number. Other records are assigned one, which they keep.
pub fn a_number_is_assigned_once(store: &dyn Store) {
    let shop = TestShop::new(store);
    let given = |count| NumericId::from_id(None, count);
    let tea = Product {
        variants: vec![variant("s"), variant("77"), variant("m")],
        ..product("tea", "Tea")
    };
    assert_eq!(
        put_products(&shop, vec![tea.clone(), product("42", "Cup"), product("007", "Spoon")]).0,
        [given(1), NumericId::new(42).unwrap(), given(4)]
    );

    let numbers = |id: &str| {
        let record = store
            .product(shop.id, &ProductRef::Id(product_id(id)))
            .unwrap()
            .unwrap();
        (record.number, record.variant_numbers.clone())
    };
    assert_eq!(
        numbers("tea"),
        (given(1), vec![given(2), NumericId::new(77).unwrap(), given(3)])
    );

    // Variants keep their numbers in any order; a new variant gets the next one.
    let tea = Product {
        variants: vec![variant("m"), variant("l"), variant("s")],
        ..tea
    };
    put_products(&shop, vec![tea.clone()]);
    assert_eq!(numbers("tea").1, [given(3), given(5), given(2)]);

    // Rules refer to a variant without its product: an id has one number in all products.
    let cup = Product {
        variants: vec![variant("s"), variant("xs")],
        ..product("cup-2", "Cup")
    };
    put_products(&shop, vec![cup.clone()]);
    assert_eq!(numbers("cup-2"), (given(6), vec![given(2), given(7)]));

    let small = variant("s").id;
    assert_eq!(store.variant_number(shop.id, &small), Ok(Some(given(2))));
    assert_eq!(store.variant_by_number(shop.id, given(2)), Ok(Some(small.clone())));
    assert_eq!(store.variant_number(shop.id, &variant("77").id), Ok(None), "it is its own");
    assert_eq!(store.variant_by_number(shop.id, given(1)), Ok(None), "that is a product");

    // The number of a deleted record is not assigned again.
    execute(&shop, CatalogueAction::DeleteProduct(product_id("007"))).unwrap();
    execute(&shop, CatalogueAction::DeleteProduct(product_id("tea"))).unwrap();
    assert_eq!(store.product(shop.id, &ProductRef::Number(given(1))).unwrap(), None);
    assert_eq!(put_products(&shop, vec![product("007", "Spoon")]).0, [given(8)]);
    assert_eq!(save_search(&shop, "all", "").unwrap(), NumericId::new(9).unwrap());

    // Each shop has its own numbers.
    let elsewhere = TestShop::new(store);
    assert_eq!(put_products(&elsewhere, vec![product("tea", "Tea")]).0, [given(1)]);
    assert_eq!(store.variant_number(elsewhere.id, &small), Ok(None));
    assert_eq!(store.variant_by_number(elsewhere.id, given(2)), Ok(None));
}

pub fn products_are_listed_by_number(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    let ids = ["b", "9", "10", "a"];

    for id in ids {
        put_products(&shop, vec![product(id, id)]);
        put_products(&elsewhere, vec![product(id, "another")]);
    }

    let page = |after, limit| {
        let page = store.products(shop.id, after, limit).unwrap();
        let titles = page
            .items
            .iter()
            .map(|product| product.product.title.clone())
            .collect::<Vec<_>>()
            .join(" ");
        (titles, page.has_more, page.items.last().map(|product| product.number))
    };
    let (titles, more, last) = page(None, 3);
    assert_eq!((titles.as_str(), more), ("9 10 b", true));

    let (titles, more, last) = page(last, 1);
    assert_eq!((titles.as_str(), more), ("a", false));
    assert_eq!(page(last, 5), (String::new(), false, None));
    assert!(!page(None, 4).1);

    let nothing = page(None, 0);
    assert_eq!((nothing.0.as_str(), nothing.1), ("", true));
}

pub fn categories_are_put_listed_and_deleted(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    let put = |shop: &TestShop<'_>, categories| match execute(
        shop,
        CatalogueAction::PutCategories(categories),
    ) {
        Ok(receipt) => match receipt.catalogue_outcome {
            Some(CatalogueOutcome::Categories(_, tally)) => tally,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(
        put(&shop, vec![category("tea", "Tea"), category("a", "A"), category("é", "É")]),
        counts(3, 0, 0)
    );
    assert_eq!(put(&elsewhere, vec![category("tea", "Thé")]), counts(1, 0, 0));

    let later = shop.at("2026-02-01T00:00:00Z");
    assert_eq!(put(&later, vec![category("tea", "Teas"), category("a", "A")]), counts(0, 1, 1));

    let read =
        |shop: &TestShop<'_>| store.category(shop.id, &CategoryId::new("tea").unwrap()).unwrap();
    let tea = read(&shop).unwrap();
    assert_eq!(
        (tea.category.name.as_str(), tea.created_at, tea.updated_at),
        ("Teas", shop.now, later.now)
    );

    let page = |after: Option<&str>, limit| {
        let after = after.map(|after| CategoryId::new(after).unwrap());
        let page = store.categories(shop.id, after.as_ref(), limit).unwrap();
        (
            page.items
                .iter()
                .map(|one| one.category.name.clone())
                .collect::<Vec<_>>()
                .join(" "),
            page.has_more,
        )
    };
    assert_eq!(page(None, 2), ("A Teas".to_owned(), true));
    assert_eq!(page(Some("tea"), 2), ("É".to_owned(), false));

    execute(&shop, CatalogueAction::DeleteCategory(CategoryId::new("tea").unwrap())).unwrap();
    assert_eq!((read(&shop), read(&elsewhere).is_some()), (None, true));
    assert_eq!(
        (store.count_categories(shop.id), store.count_categories(elsewhere.id)),
        (Ok(2), Ok(1))
    );
}

pub fn saved_searches_have_unique_names(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    let vips = save_search(&shop, "VIPs", "tag:vip points:>=100").unwrap();
    assert_eq!(save_search(&shop, "VIPs", "tag:gold"), Err("saved_search_name_taken"));

    save_search(&elsewhere, "VIPs", "").unwrap();
    let rich = save_search(&shop, "Rich", "points:>1000").unwrap();
    let stored = store.saved_search(shop.id, vips).unwrap().unwrap();
    let seen = (stored.name.as_str(), stored.query.as_str(), stored.created_at);
    assert_eq!(seen, ("VIPs", "tag:vip points:>=100", shop.now));

    let page = |after, limit| {
        let page = store.saved_searches(shop.id, after, limit).unwrap();
        (page.items.iter().map(|search| search.number).collect::<Vec<_>>(), page.has_more)
    };
    assert_eq!((page(None, 1), page(Some(vips), 1)), ((vec![vips], true), (vec![rich], false)));

    execute(&shop, CatalogueAction::DeleteSearch(vips)).unwrap();
    assert_eq!(store.saved_search(shop.id, vips).unwrap(), None);
    assert_eq!(
        (store.count_saved_searches(shop.id), store.count_saved_searches(elsewhere.id)),
        (Ok(1), Ok(1))
    );
    assert!(save_search(&shop, "VIPs", "").unwrap() > rich);
}

pub fn unknown_records_cannot_be_deleted(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    put_products(&elsewhere, vec![product("tea", "Tea")]);
    execute(&elsewhere, CatalogueAction::PutCategories(vec![category("tea", "Tea")])).unwrap();
    let search = save_search(&elsewhere, "all", "").unwrap();
    let before = StoreContents::read(store);

    for (action, want) in [
        (CatalogueAction::DeleteProduct(product_id("tea")), "product_not_found"),
        (
            CatalogueAction::DeleteCategory(CategoryId::new("tea").unwrap()),
            "category_not_found",
        ),
        (CatalogueAction::DeleteSearch(search), "saved_search_not_found"),
    ] {
        assert_eq!(rejection_code(&execute(&shop, action)), want);
    }

    for key in [ProductRef::Id(product_id("tea")), ProductRef::Number(NumericId::from_id(None, 1))]
    {
        assert_eq!(store.product(shop.id, &key).unwrap(), None);
    }
    assert_eq!(store.saved_search(shop.id, search).unwrap(), None);
    assert_eq!(StoreContents::read(store), before);
}

pub fn a_catalogue_change_is_idempotent(store: &dyn Store) {
    let shop = TestShop::new(store);
    let action =
        |title: &str| Action::Catalogue(CatalogueAction::PutProducts(vec![product("tea", title)]));
    let first = expect_stored(shop.execute_with_key("k", action("Tea")));
    assert!(!first.2);

    put_products(&shop, vec![product("tea", "Chai")]);
    let before = StoreContents::read(store);
    assert_eq!(
        expect_stored(shop.execute_with_key("k", action("Tea"))),
        (first.0, first.1, true)
    );
    assert_eq!(
        rejection_code(&expect_decided(shop.execute_with_key("k", action("Cocoa")))),
        "idempotency_key_reused"
    );
    assert_eq!(StoreContents::read(store), before);
}

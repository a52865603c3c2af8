//! Products, categories and saved searches: put, read, counted, forgotten; numbered once; all or nothing.

use std::collections::BTreeSet;

use super::desk::*;
use crate::{
    Action, CatalogueAction, Catalogued, Category, Number, Outcome, Product, ProductKey,
    ProductStatus, SearchQuery, Store, Tally, Variant,
};
use loyalty_core::{CategoryId, ProductId, VariantId};

use super::picture::Picture;

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

fn act(desk: &Desk<'_>, action: CatalogueAction) -> Outcome {
    desk.act(Action::Catalogue(action))
}

fn put(desk: &Desk<'_>, products: Vec<Product>) -> (Vec<Number>, Tally) {
    match act(desk, CatalogueAction::PutProducts(products)).unwrap().catalogue {
        Some(Catalogued::Products(products, tally)) => {
            (products.iter().map(|product| product.number).collect(), tally)
        }
        other => panic!("{other:?}"),
    }
}

fn tally(created: u64, updated: u64, unchanged: u64) -> Tally {
    Tally { created, updated, unchanged }
}

fn query(text: &str) -> SearchQuery {
    SearchQuery::parse(text, at("2026-01-01T12:00:00Z"), loyalty_core::Zone::UTC).unwrap()
}

fn save(desk: &Desk<'_>, name: &str, text: &str) -> Result<Number, &'static str> {
    match act(desk, CatalogueAction::SaveSearch { name: name.to_owned(), query: query(text) }) {
        Ok(receipt) => match receipt.catalogue {
            Some(Catalogued::Search(search)) => Ok(search.number),
            other => panic!("{other:?}"),
        },
        Err(rejection) => Err(rejection.code()),
    }
}

pub fn products_are_put_and_kept_as_told(store: &dyn Store) {
    let desk = Desk::new(store);
    let green = Product {
        variants: vec![variant("1"), variant("xl")],
        ..product("green", "Green")
    };
    assert_eq!(put(&desk, vec![green.clone()]).1, tally(1, 0, 0));
    let later = desk.at("2026-02-01T00:00:00Z");
    assert_eq!(put(&later, vec![green.clone()]).1, tally(0, 0, 1));
    let read = || {
        store
            .product(desk.shop, &ProductKey::Id(product_id("green")))
            .unwrap()
            .unwrap()
    };
    let first = read();
    assert_eq!(
        (&first.product, first.created_at, first.updated_at),
        (&green, desk.now, desk.now)
    );

    let dearer = Product {
        price: Some("5".parse().unwrap()),
        status: ProductStatus::Draft,
        ..green
    };
    assert_eq!(put(&later, vec![dearer.clone(), product("black", "Black")]).1, tally(1, 1, 0));
    let second = read();
    assert_eq!(
        (&second.product, second.created_at, second.updated_at),
        (&dearer, desk.now, later.now)
    );
    assert_eq!((second.number, &second.variant_numbers), (first.number, &first.variant_numbers));
    assert_eq!(
        store.product(desk.shop, &ProductKey::Number(first.number)).unwrap(),
        Some(second)
    );
    assert_eq!(
        store
            .product(desk.shop, &ProductKey::Id(product_id("Green")))
            .unwrap(),
        None
    );
    assert_eq!(store.count_products(desk.shop).unwrap(), 2);
}

/// An id that is a number is its own; what else there is gets one, once and for all.
pub fn a_number_is_given_once(store: &dyn Store) {
    let desk = Desk::new(store);
    let given = |count| Number::of(None, count);
    let tea = Product {
        variants: vec![variant("s"), variant("77"), variant("m")],
        ..product("tea", "Tea")
    };
    assert_eq!(
        put(&desk, vec![tea.clone(), product("42", "Cup"), product("007", "Spoon")]).0,
        [given(1), Number::new(42).unwrap(), given(4)]
    );
    let numbers = |id: &str| {
        let record = store
            .product(desk.shop, &ProductKey::Id(product_id(id)))
            .unwrap()
            .unwrap();
        (record.number, record.variant_numbers.clone())
    };
    assert_eq!(numbers("tea"), (given(1), vec![given(2), Number::new(77).unwrap(), given(3)]));
    // Variants keep theirs, wherever they stand; a new one gets the next.
    let tea = Product {
        variants: vec![variant("m"), variant("l"), variant("s")],
        ..tea
    };
    put(&desk, vec![tea.clone()]);
    assert_eq!(numbers("tea").1, [given(3), given(5), given(2)]);
    // A rule names a variant by its id: it has one number in all products, and is found by it.
    let cup = Product {
        variants: vec![variant("s"), variant("xs")],
        ..product("cup-2", "Cup")
    };
    put(&desk, vec![cup.clone()]);
    assert_eq!(numbers("cup-2"), (given(6), vec![given(2), given(7)]));
    let small = variant("s").id;
    assert_eq!(store.variant_number(desk.shop, &small), Ok(Some(given(2))));
    assert_eq!(store.numbered_variant(desk.shop, given(2)), Ok(Some(small.clone())));
    assert_eq!(store.variant_number(desk.shop, &variant("77").id), Ok(None), "it is its own");
    assert_eq!(store.numbered_variant(desk.shop, given(1)), Ok(None), "that is a product");
    // A number that was taken by what is gone is not given again.
    act(&desk, CatalogueAction::DeleteProduct(product_id("007"))).unwrap();
    act(&desk, CatalogueAction::DeleteProduct(product_id("tea"))).unwrap();
    assert_eq!(store.product(desk.shop, &ProductKey::Number(given(1))).unwrap(), None);
    assert_eq!(put(&desk, vec![product("007", "Spoon")]).0, [given(8)]);
    assert_eq!(save(&desk, "all", "").unwrap(), Number::new(9).unwrap());
    // Another shop counts for itself.
    let elsewhere = Desk::new(store);
    assert_eq!(put(&elsewhere, vec![product("tea", "Tea")]).0, [given(1)]);
    assert_eq!(store.variant_number(elsewhere.shop, &small), Ok(None));
    assert_eq!(store.numbered_variant(elsewhere.shop, given(2)), Ok(None));
}

pub fn products_are_listed_by_number(store: &dyn Store) {
    let (desk, elsewhere) = (Desk::new(store), Desk::new(store));
    let ids = ["b", "9", "10", "a"];
    for id in ids {
        put(&desk, vec![product(id, id)]);
        put(&elsewhere, vec![product(id, "another")]);
    }
    let page = |after, limit| {
        let page = store.products(desk.shop, after, limit).unwrap();
        let titles = page
            .items
            .iter()
            .map(|product| product.product.title.clone())
            .collect::<Vec<_>>()
            .join(" ");
        (titles, page.more, page.items.last().map(|product| product.number))
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

pub fn categories_are_put_listed_and_forgotten(store: &dyn Store) {
    let (desk, elsewhere) = (Desk::new(store), Desk::new(store));
    let put =
        |desk: &Desk<'_>, categories| match act(desk, CatalogueAction::PutCategories(categories)) {
            Ok(receipt) => match receipt.catalogue {
                Some(Catalogued::Categories(_, tally)) => tally,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
    assert_eq!(
        put(&desk, vec![category("tea", "Tea"), category("a", "A"), category("é", "É")]),
        tally(3, 0, 0)
    );
    assert_eq!(put(&elsewhere, vec![category("tea", "Thé")]), tally(1, 0, 0));
    let later = desk.at("2026-02-01T00:00:00Z");
    assert_eq!(put(&later, vec![category("tea", "Teas"), category("a", "A")]), tally(0, 1, 1));
    let read =
        |desk: &Desk<'_>| store.category(desk.shop, &CategoryId::new("tea").unwrap()).unwrap();
    let tea = read(&desk).unwrap();
    assert_eq!(
        (tea.category.name.as_str(), tea.created_at, tea.updated_at),
        ("Teas", desk.now, later.now)
    );
    let page = |after: Option<&str>, limit| {
        let after = after.map(|after| CategoryId::new(after).unwrap());
        let page = store.categories(desk.shop, after.as_ref(), limit).unwrap();
        (
            page.items
                .iter()
                .map(|one| one.category.name.clone())
                .collect::<Vec<_>>()
                .join(" "),
            page.more,
        )
    };
    assert_eq!(page(None, 2), ("A Teas".to_owned(), true));
    assert_eq!(page(Some("tea"), 2), ("É".to_owned(), false));
    act(&desk, CatalogueAction::DeleteCategory(CategoryId::new("tea").unwrap())).unwrap();
    assert_eq!((read(&desk), read(&elsewhere).is_some()), (None, true));
    assert_eq!(
        (store.count_categories(desk.shop), store.count_categories(elsewhere.shop)),
        (Ok(2), Ok(1))
    );
}

pub fn searches_are_saved_under_names_of_their_own(store: &dyn Store) {
    let (desk, elsewhere) = (Desk::new(store), Desk::new(store));
    let vips = save(&desk, "VIPs", "tag:vip points:>=100").unwrap();
    assert_eq!(save(&desk, "VIPs", "tag:gold"), Err("saved_search_name_taken"));
    save(&elsewhere, "VIPs", "").unwrap();
    let rich = save(&desk, "Rich", "points:>1000").unwrap();
    let kept = store.saved_search(desk.shop, vips).unwrap().unwrap();
    let seen = (kept.name.as_str(), kept.query.as_str(), kept.created_at);
    assert_eq!(seen, ("VIPs", "tag:vip points:>=100", desk.now));
    let page = |after, limit| {
        let page = store.saved_searches(desk.shop, after, limit).unwrap();
        (page.items.iter().map(|search| search.number).collect::<Vec<_>>(), page.more)
    };
    assert_eq!((page(None, 1), page(Some(vips), 1)), ((vec![vips], true), (vec![rich], false)));
    act(&desk, CatalogueAction::DeleteSearch(vips)).unwrap();
    assert_eq!(store.saved_search(desk.shop, vips).unwrap(), None);
    assert_eq!(
        (
            store.count_saved_searches(desk.shop),
            store.count_saved_searches(elsewhere.shop)
        ),
        (Ok(1), Ok(1))
    );
    assert!(save(&desk, "VIPs", "").unwrap() > rich);
}

pub fn what_is_not_there_cannot_be_forgotten(store: &dyn Store) {
    let (desk, elsewhere) = (Desk::new(store), Desk::new(store));
    put(&elsewhere, vec![product("tea", "Tea")]);
    act(&elsewhere, CatalogueAction::PutCategories(vec![category("tea", "Tea")])).unwrap();
    let search = save(&elsewhere, "all", "").unwrap();
    let before = Picture::of(store);
    for (action, want) in [
        (CatalogueAction::DeleteProduct(product_id("tea")), "product_not_found"),
        (
            CatalogueAction::DeleteCategory(CategoryId::new("tea").unwrap()),
            "category_not_found",
        ),
        (CatalogueAction::DeleteSearch(search), "saved_search_not_found"),
    ] {
        assert_eq!(code(&act(&desk, action)), want);
    }
    for key in [ProductKey::Id(product_id("tea")), ProductKey::Number(Number::of(None, 1))] {
        assert_eq!(store.product(desk.shop, &key).unwrap(), None);
    }
    assert_eq!(store.saved_search(desk.shop, search).unwrap(), None);
    assert_eq!(Picture::of(store), before);
}

pub fn a_change_of_the_catalogue_happens_once(store: &dyn Store) {
    let desk = Desk::new(store);
    let action =
        |title: &str| Action::Catalogue(CatalogueAction::PutProducts(vec![product("tea", title)]));
    let first = kept(desk.keyed("k", action("Tea")));
    assert!(!first.2);
    put(&desk, vec![product("tea", "Chai")]);
    let before = Picture::of(store);
    assert_eq!(kept(desk.keyed("k", action("Tea"))), (first.0, first.1, true));
    assert_eq!(code(&decided(desk.keyed("k", action("Cocoa")))), "idempotency_key_reused");
    assert_eq!(Picture::of(store), before);
}

"""Drives the server with Shopify's official Python client, ShopifyAPI, as a shop's own script would."""

import os

import shopify
from pyactiveresource.connection import ResourceNotFound, UnauthorizedAccess

GIVEN = 2**52

shopify.ShopifyResource.site = os.environ["LOYALTY_URL"] + "/admin/api/2025-01"
shopify.ShopifyResource.headers = {"X-Shopify-Access-Token": os.environ["LOYALTY_KEY"]}


def customers():
    ada = shopify.Customer()
    ada.email = "ada@example.com"
    ada.first_name = "Ada"
    ada.tags = "vip, new"
    ada.addresses = [{"zip": "10115", "country": "DE"}]
    assert ada.save(), ada.errors.full_messages()
    assert ada.id > GIVEN and ada.point_balance == 0, ada.to_dict()

    # The whole last answer goes back, with what can't be changed in it.
    again = shopify.Customer.find(ada.id)
    before = again.to_dict()
    assert again.save() and again.to_dict() == before
    again.last_name = "Lovelace"
    assert again.save()
    changed = shopify.Customer.find(ada.id).to_dict()
    assert changed["last_name"] == "Lovelace" and changed["tags"] == "new, vip", changed
    assert changed["default_address"]["zip"] == "10115"

    taken = shopify.Customer({"email": "ADA@example.com"})
    assert not taken.save() and taken.errors.on("email"), taken.errors.full_messages()
    wrong = shopify.Customer({"email": "nobody"})
    assert not wrong.save() and wrong.errors.on("email"), wrong.errors.full_messages()

    for number in range(1, 6):
        assert shopify.Customer.create({"own_id": str(number), "email": "c%d@example.com" % number}).id == number
    assert shopify.Customer.count() == 6
    page, seen = shopify.Customer.find(limit=4), []
    assert len(page) == 4 and page.has_next_page() and not page.has_previous_page()
    while True:
        seen += [customer.id for customer in page]
        if not page.has_next_page():
            break
        page = page.next_page()
    assert seen == [ada.id, 1, 2, 3, 4, 5], seen
    assert [customer.id for customer in shopify.Customer.find(ids="3,1")] == [3, 1]
    assert [customer.id for customer in shopify.Customer.find(since_id=4)] == [5]
    found = shopify.Customer.search(query="tag:vip email:ada@example.com")
    assert [customer.id for customer in found] == [ada.id]
    assert [customer.id for customer in shopify.Customer.search(query="-tag:vip (id:1 OR id:2)")] == [1, 2]
    assert shopify.Customer.find_first(fields="id").to_dict() == {"id": ada.id}
    assert not shopify.Customer.exists(99)
    return ada


def saved_searches(ada):
    search = shopify.CustomerSavedSearch.create({"name": "VIPs", "query": "tag:vip"})
    assert search.id and not search.errors.full_messages()
    assert shopify.CustomerSavedSearch.find(search.id).query == "tag:vip"
    assert [customer.id for customer in search.customers()] == [ada.id]
    assert not shopify.CustomerSavedSearch({"name": "VIPs", "query": ""}).save()
    wrong = shopify.CustomerSavedSearch({"name": "rich", "query": "total_spent:>100"})
    assert not wrong.save() and "total_spent" in str(wrong.errors.on("query")), wrong.errors.full_messages()
    assert shopify.CustomerSavedSearch.count() == 1
    assert [one.name for one in shopify.CustomerSavedSearch.find()] == ["VIPs"]


def products():
    assert shopify.Product.count() == 2
    tea, cup = shopify.Product.find()
    assert (tea.id, tea.title, tea.tags, tea.price) == (632910392, "Tea", "a, b", "4.50"), tea.to_dict()
    assert [(one.id, one.own_id, one.price) for one in tea.variants] == [(GIVEN + 1, "s", "4.50")]
    assert cup.id > GIVEN and shopify.Product.find(cup.id).title == "Cup"
    page = shopify.Product.find(limit=1)
    assert [product.id for product in page.next_page()] == [cup.id] and not page.next_page().has_next_page()


def price_rules():
    rule = shopify.PriceRule()
    rule.title = "SUMMER"
    rule.target_type = "line_item"
    rule.target_selection = "all"
    rule.allocation_method = "across"
    rule.value_type = "fixed_amount"
    rule.value = "-10.0"
    rule.customer_selection = "all"
    rule.starts_at = "2026-01-19T17:59:10Z"
    assert rule.save(), rule.errors.full_messages()
    again = shopify.PriceRule.find(rule.id)
    before = again.to_dict()
    assert again.save() and again.to_dict() == before
    again.usage_limit = 5
    assert again.save() and shopify.PriceRule.find(rule.id).usage_limit == 5
    wrong = shopify.PriceRule({"title": "wrong", "value": "10.0"})
    assert not wrong.save() and wrong.errors.on("value"), wrong.errors.full_messages()
    assert shopify.PriceRule.count() == 1
    assert [one.id for one in shopify.PriceRule.find()] == [rule.id]
    return rule


def discount_codes(rule):
    code = rule.add_discount_code(shopify.DiscountCode({"code": "SUMMER10"}))
    assert code.id and code.usage_count == 0, code.to_dict()
    found = shopify.DiscountCode.find(code.id, price_rule_id=rule.id)
    assert found.code == "SUMMER10"
    found.code = "WINTER10"
    assert found.save(), found.errors.full_messages()
    assert [one.code for one in rule.discount_codes()] == ["WINTER10"]
    taken = shopify.DiscountCode({"code": "winter10", "price_rule_id": rule.id})
    assert not taken.save() and taken.errors.on("code"), taken.errors.full_messages()
    batch = rule.create_batch([{"code": "A"}, {"code": "winter10"}])
    assert (batch.imported_count, batch.failed_count) == (1, 1), batch.to_dict()
    assert [one.code for one in batch.discount_codes()] == ["A", "winter10"]
    assert rule.find_batch(batch.id).status == "completed"
    found.destroy()
    assert [one.code for one in shopify.DiscountCode.find(price_rule_id=rule.id)] == ["A"]
    rule.destroy()
    assert not shopify.PriceRule.exists(rule.id)


def refusals():
    try:
        shopify.Product.find(1)
        raise AssertionError("found what is not there")
    except ResourceNotFound:
        pass
    shopify.ShopifyResource.headers = {"X-Shopify-Access-Token": "lk_unknown_key"}
    try:
        shopify.Customer.count()
        raise AssertionError("took an unknown key")
    except UnauthorizedAccess:
        pass


saved_searches(customers())
products()
discount_codes(price_rules())
refusals()
print("ok")

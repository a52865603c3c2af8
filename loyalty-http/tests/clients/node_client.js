// Drives the server with shopify-api-node, as a shop's own script would.

'use strict';

const assert = require('assert');
const Shopify = require('shopify-api-node');

const url = new URL(process.env.LOYALTY_URL);

function client(accessToken) {
  const shopify = new Shopify({ shopName: 'tea', accessToken, apiVersion: '2025-01' });
  // It would insist on https and Shopify's own hosts.
  shopify.baseUrl = { hostname: url.hostname, port: url.port, protocol: 'http:' };
  return shopify;
}

const ids = (things) => things.map((thing) => thing.id);

async function main() {
  const shopify = client(process.env.LOYALTY_KEY);
  const ada = await shopify.customer.create({ email: 'ada@example.com', tags: 'vip', own_id: '7' });
  assert.strictEqual(ada.id, 7);
  assert.deepStrictEqual(await shopify.customer.update(7, ada), ada);
  const named = await shopify.customer.update(7, { first_name: 'Ada' });
  assert.deepStrictEqual([named.first_name, named.tags], ['Ada', 'vip']);
  await assert.rejects(shopify.customer.create({ email: 'ADA@example.com' }), (error) => {
    assert.strictEqual(error.response.statusCode, 422);
    assert.ok(error.response.body.errors.email[0]);
    return true;
  });
  for (const id of [1, 2, 3]) await shopify.customer.create({ own_id: String(id) });
  assert.strictEqual(await shopify.customer.count(), 4);

  const seen = [];
  let params = { limit: 2 };
  while (params) {
    const page = await shopify.customer.list(params);
    seen.push(...ids(page));
    params = page.nextPageParameters;
  }
  assert.deepStrictEqual(seen, [7, 1, 2, 3]);
  assert.deepStrictEqual(ids(await shopify.customer.search({ query: 'tag:vip' })), [7]);

  const search = await shopify.customerSavedSearch.create({ name: 'VIPs', query: 'tag:vip' });
  assert.deepStrictEqual(await shopify.customerSavedSearch.get(search.id), search);
  assert.deepStrictEqual(ids(await shopify.customerSavedSearch.customers(search.id)), [7]);
  assert.deepStrictEqual(await shopify.customerSavedSearch.list(), [search]);
  assert.strictEqual(await shopify.customerSavedSearch.count(), 1);

  const [tea, cup] = await shopify.product.list();
  assert.deepStrictEqual([tea.id, tea.title, tea.variants[0].price], [632910392, 'Tea', '4.50']);
  assert.deepStrictEqual(await shopify.product.get(cup.id), cup);
  assert.ok(Number.isSafeInteger(cup.id));
  assert.strictEqual(await shopify.product.count(), 2);
  await assert.rejects(shopify.product.get(1), (error) => error.response.statusCode === 404);
  await assert.rejects(client('lk_unknown_key').customer.count(), (error) => error.response.statusCode === 401);
  console.log('ok');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

// Drives the server with Shopify's own library for Node, as an app's job would: lists, page by page.

'use strict';

const assert = require('assert');
require('@shopify/shopify-api/adapters/node');
const { setAbstractFetchFunc } = require('@shopify/shopify-api/runtime');
const { shopifyApi, Session } = require('@shopify/shopify-api');

// It would call Shopify's own hosts over https.
const server = new URL(process.env.LOYALTY_URL);
setAbstractFetchFunc((url, init) => {
  const to = new URL(url);
  return fetch(new URL(to.pathname + to.search, server), init);
});

const shopify = shopifyApi({
  apiKey: 'key',
  apiSecretKey: 'secret',
  hostName: 'app.example',
  apiVersion: '2025-01',
  isEmbeddedApp: false,
  logger: { level: 0 },
});
const session = new Session({
  id: 'offline',
  shop: 'tea.myshopify.com',
  state: '',
  isOnline: false,
  accessToken: process.env.LOYALTY_KEY,
});
const client = new shopify.clients.Rest({ session });

async function all(path, query) {
  const seen = [];
  let page = { path, query };
  while (page) {
    const answer = await client.get(page);
    const [name] = Object.keys(answer.body);
    seen.push(...answer.body[name].map((row) => Number(row.id)));
    page = answer.pageInfo && answer.pageInfo.nextPage;
    assert.ok(seen.length < 20, 'the pages do not end');
  }
  return seen;
}

async function main() {
  for (const id of [7, 1, 2, 3]) {
    await client.post({ path: 'customers', data: { customer: { own_id: String(id) } } });
  }
  // What sync jobs send, also what means nothing here.
  assert.deepStrictEqual(await all('customers', { limit: 2 }), [7, 1, 2, 3]);
  assert.deepStrictEqual(
    await all('customers', { limit: 1, created_at_min: '2020-01-01T00:00:00-05:00', order: 'id desc', status: 'any' }),
    [7, 3, 2, 1],
  );
  assert.deepStrictEqual(await all('customers', { updated_at_min: '2999-01-01' }), []);
  assert.deepStrictEqual(await all('customers', { since_id: 2, limit: 1 }), [3]);
  assert.deepStrictEqual(await all('customers', { since_id: 4 }), [7]);

  const products = await all('products', { limit: 1, status: 'active', fields: 'id,title' });
  assert.strictEqual(products.length, 2);
  assert.deepStrictEqual(await all('products', { title: 'Tea', vendor: '' }), [632910392]);
  const { body } = await client.get({ path: `products/${products[1]}` });
  assert.strictEqual(body.product.variants.length, 1);

  // A rule for the only variant of a product is a rule for the product.
  const rule = await client.post({
    path: 'price_rules',
    data: {
      price_rule: {
        title: 'Cups', value: '-1', target_selection: 'entitled', starts_at: '2026-01-01T00:00:00Z',
        entitled_variant_ids: [Number(body.product.variants[0].id)],
      },
    },
  });
  assert.deepStrictEqual(rule.body.price_rule.entitled_product_ids.map(String), [String(products[1])]);
  assert.deepStrictEqual(await all('price_rules', { limit: 1, ends_at_max: '2030-01-01' }), []);
  await client.post({ path: 'customer_saved_searches', data: { customer_saved_search: { name: 'VIPs', query: 'tag:vip' } } });
  console.log('ok');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

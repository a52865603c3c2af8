// Decisions a second of rules engines on the case of `loyalty-core/benches/entitlement.rs`: an order of five
// lines under five rules. Prints them beside ours, read from what criterion has just measured.
import { readFileSync } from 'node:fs';
import { ZenEngine } from '@gorules/zen-engine';
import { Engine } from 'json-rules-engine';

const line = (product, category, amount) => ({ product, category, amount });
const order = {
  lines: [
    line('sneaker', 'shoes', 89.9), line('boot', 'shoes', 129.0), line('sock', 'clothes', 7.95),
    line('shirt', 'clothes', 24.5), line('wax', 'care', 5.25),
  ],
  tags: ['vip'],
};
const bytes = JSON.stringify(order);

const sum = (lines) => lines.reduce((total, { amount }) => total + amount, 0);
const counted = (lines) => lines.filter(({ product }) => product !== 'sneaker');

// Each rule of json-rules-engine has a condition; its event brings points, which are added up.
function jsonRulesEngine() {
  const rule = (fact, operator, value, points) =>
    ({ conditions: { all: [{ fact, operator, value }] }, event: { type: 'earn', params: { points } } });
  const engine = new Engine([
    rule('counted', 'greaterThan', 0, (facts) => facts.counted),
    rule('shoes', 'greaterThan', 0, (facts) => 1.5 * facts.shoes),
    rule('sneakers', 'greaterThanInclusive', 10, (facts) => 3 * Math.floor(facts.sneakers / 10)),
    rule('all', 'greaterThanInclusive', 100, () => 50),
    rule('tags', 'contains', 'vip', (facts) => 0.25 * facts.counted),
  ]);
  return async () => {
    const { lines, tags } = order;
    const facts = {
      tags, all: sum(lines), counted: sum(counted(lines)),
      shoes: sum(lines.filter(({ category }) => category === 'shoes')),
      sneakers: sum(lines.filter(({ product }) => product === 'sneaker')),
    };
    const { events } = await engine.run(facts);
    return Math.floor(events.reduce((points, { params }) => points + params.points(facts), 0));
  };
}

// The same as one expression of a compiled decision.
function zenEngine(context) {
  const counted = 'sum(map(filter(lines, #.product != "sneaker"), #.amount))';
  const shoes = 'sum(map(filter(lines, #.category == "shoes"), #.amount))';
  const sneakers = 'sum(map(filter(lines, #.product == "sneaker"), #.amount))';
  const rules = [
    counted, `1.5 * ${shoes}`, `3 * floor(${sneakers} / 10)`,
    '(sum(map(lines, #.amount)) >= 100 ? 50 : 0)', `("vip" in tags ? 0.25 * ${counted} : 0)`,
  ];
  const node = (id, type, content) => ({ id, type, name: id, content, position: { x: 0, y: 0 } });
  const edge = (sourceId, targetId) => ({ id: sourceId + targetId, sourceId, targetId, type: 'edge' });
  const decision = new ZenEngine().createDecision({
    contentType: 'application/vnd.gorules.decision',
    nodes: [
      node('in', 'inputNode', {}),
      node('rules', 'expressionNode', { expressions: [{ id: 'p', key: 'points', value: `floor(${rules.join(' + ')})` }] }),
      node('out', 'outputNode', {}),
    ],
    edges: [edge('in', 'rules'), edge('rules', 'out')],
  });
  return async () => (await decision.evaluate(context())).result.points;
}

async function rate(decide) {
  const points = await decide();
  const until = async (end) => {
    let count = 0;
    for (; performance.now() < end; count += 1) await decide();
    return count;
  };
  await until(performance.now() + 500);
  const begun = performance.now();
  const count = await until(begun + 3000);
  return { points, rate: (count * 1000) / (performance.now() - begun) };
}

// Criterion's median of a case, in decisions a second.
function ours(folder, name) {
  const text = readFileSync(`${folder}/entitlement of five lines under five rules/${name}/new/estimates.json`);
  return 1e9 / JSON.parse(text).median.point_estimate;
}

const peers = {
  'json-rules-engine': await rate(jsonRulesEngine()),
  'zen-engine from node': await rate(zenEngine(() => order)),
  'zen-engine from node, from bytes': await rate(zenEngine(() => JSON.parse(bytes))),
};
const folder = process.argv[2];
const rates = { state: ours(folder, 'paid'), bytes: ours(folder, 'paid, from bytes') };
const number = (value) => Math.round(value).toLocaleString('en');
console.log('| five rules, five lines, one core, one run | decisions a second | points | we are |');
console.log('| --- | ---: | ---: | ---: |');
console.log(`| entitlement with its explanation | ${number(rates.state)} | | |`);
console.log(`| the same from the order's bytes | ${number(rates.bytes)} | | |`);
for (const [name, { points, rate }] of Object.entries(peers)) {
  const mine = name.includes('bytes') ? rates.bytes : rates.state;
  console.log(`| ${name} | ${number(rate)} | ${points} | ${(mine / rate).toFixed(0)} times |`);
}

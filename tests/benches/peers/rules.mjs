// Decisions a second of rules engines on the case of `loyalty-core/benches/entitlement.rs`: an order of five
// lines under five rules. Each engine takes turns with ours, and the table shows both. Usage: `rules.mjs ROOT ZEN`,
// the repository and the program in `zen`.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { ZenEngine } from '@gorules/zen-engine';
import { Engine } from 'json-rules-engine';

// The bytes of our bench, and the same order in a form that suits the other engines: amounts as numbers, and only
// the members that the rules use.
const bytes = readFileSync('order.json');
const { lines } = JSON.parse(bytes);
const order = {
  lines: lines.map((line) => ({ product: line.product, category: line.categories[0], amount: Number(line.amount) })),
  tags: ['vip'],
};
const orderBytes = JSON.stringify(order);

const sum = (lines) => lines.reduce((total, { amount }) => total + amount, 0);
const counted = (lines) => lines.filter(({ product }) => product !== 'sneaker');
const launch = { from: Date.UTC(2026, 0, 1), until: Date.UTC(2027, 0, 1) };

// Rules of json-rules-engine as documents, like ours: conditions on a fact with parameters, and events with what
// the rule earns.
function jsonRulesEngine() {
  const condition = (fact, operator, value, params) => ({ fact, operator, value, params });
  const spends = (of) => condition('spent', 'greaterThan', 0, of);
  const rule = (earn, ...all) => ({ conditions: { all }, event: { type: 'earn', params: earn } });
  const rest = { unless: 'sneaker' };
  const shoes = { category: 'shoes' };
  const sneakers = { product: 'sneaker' };
  const engine = new Engine([
    rule({ per_unit: 1, of: rest }, spends(rest)),
    rule({ per_unit: 1.5, of: shoes }, spends(shoes)),
    rule({ per_increment: 10, points: 3, of: sneakers }, spends(sneakers),
      condition('placed_at', 'greaterThanInclusive', launch.from), condition('placed_at', 'lessThan', launch.until)),
    rule({ per_order: 50 }, condition('spent', 'greaterThanInclusive', 100, {})),
    rule({ per_unit: 0.25, of: rest }, spends(rest), condition('tags', 'contains', 'vip')),
  ]);
  engine.addFact('spent', async ({ product, category, unless }, almanac) => {
    const applies = (line) => (!product || line.product === product) && (!category || line.category === category)
      && line.product !== unless;
    return sum((await almanac.factValue('lines')).filter(applies));
  });
  const points = async ({ per_unit, per_increment, points, per_order, of }, almanac) => {
    if (per_order) return per_order;
    const spent = await almanac.factValue('spent', of);
    return per_unit ? per_unit * spent : points * Math.floor(spent / per_increment);
  };
  return async () => {
    const { events, almanac } = await engine.run({ ...order, placed_at: launch.from });
    let sum = 0;
    for (const { params } of events) sum += await points(params, almanac);
    return Math.floor(sum);
  };
}

// The least work for the same engine: the sums are computed before, earning is code, and there is no date.
function jsonRulesEngineByHand() {
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

// The same rules as one expression of a zen-engine decision. The customer's tags are not part of the order: if the
// input lacks them, they are constants of the expression.
function zenDecision({ amount, shoes, tags }) {
  const spent = (applies) => `sum(map(filter(lines, ${applies}), ${amount}))`;
  const counted = spent('#.product != "sneaker"');
  const rules = [
    counted, `1.5 * ${spent(shoes)}`, `3 * floor(${spent('#.product == "sneaker"')} / 10)`,
    `(sum(map(lines, ${amount})) >= 100 ? 50 : 0)`, `("vip" in ${tags} ? 0.25 * ${counted} : 0)`,
  ];
  const node = (id, type, content) => ({ id, type, name: id, content, position: { x: 0, y: 0 } });
  const edge = (sourceId, targetId) => ({ id: sourceId + targetId, sourceId, targetId, type: 'edge' });
  return {
    contentType: 'application/vnd.gorules.decision',
    nodes: [
      node('in', 'inputNode', {}),
      node('rules', 'expressionNode', { expressions: [{ id: 'p', key: 'points', value: `floor(${rules.join(' + ')})` }] }),
      node('out', 'outputNode', {}),
    ],
    edges: [edge('in', 'rules'), edge('rules', 'out')],
  };
}
const ofOrder = zenDecision({ amount: '#.amount', shoes: '#.category == "shoes"', tags: 'tags' });
const ofBytes = zenDecision({ amount: 'number(#.amount)', shoes: '"shoes" in #.categories', tags: '["vip"]' });

function zenEngine(context) {
  const decision = new ZenEngine().createDecision(ofOrder);
  return async () => (await decision.evaluate(context())).result.points;
}

// Runs the compiled decision in the program in `zen`.
function zenInRust(program, decision, order) {
  writeFileSync('zen-decision.json', JSON.stringify(decision));
  writeFileSync('zen-order.json', order);
  return JSON.parse(execFileSync(program, ['zen-decision.json', 'zen-order.json']));
}

async function rate(decide) {
  const points = await decide();
  const until = async (end) => {
    let count = 0;
    for (; performance.now() < end; count += 1) await decide();
    return count;
  };
  await until(performance.now() + 300);
  const begun = performance.now();
  const count = await until(begun + 1000);
  return { points, rate: (count * 1000) / (performance.now() - begun) };
}

// Criterion's median of a case, in decisions a second.
function ours(root, name) {
  const group = 'entitlement of five lines under five rules';
  const times = ['--warm-up-time', '0.3', '--measurement-time', '1'];
  const bench = ['bench', '-q', '-p', 'loyalty-core', '--bench', 'entitlement', '--', '--exact', `${group}/${name}`];
  execFileSync('cargo', [...bench, ...times], { cwd: root, stdio: 'pipe' });
  const estimates = readFileSync(`${root}/target/criterion/${group}/${name}/new/estimates.json`);
  return 1e9 / JSON.parse(estimates).median.point_estimate;
}

const [root, zen] = process.argv.slice(2);
const peers = {
  'json-rules-engine': () => rate(jsonRulesEngine()),
  'json-rules-engine, sums by hand': () => rate(jsonRulesEngineByHand()),
  'zen-engine from node': () => rate(zenEngine(() => order)),
  'zen-engine from node, from bytes of its own': () => rate(zenEngine(() => JSON.parse(orderBytes))),
  'zen-engine in Rust, compiled, from bytes of its own': () => zenInRust(zen, ofOrder, orderBytes),
  'zen-engine in Rust, compiled, from the same bytes': () => zenInRust(zen, ofBytes, bytes),
};
const median = (numbers) => numbers.sort((one, other) => one - other)[Math.floor(numbers.length / 2)];
const number = (value) => Math.round(value).toLocaleString('en');
console.log('| five rules, five lines, one core, five turns each | decisions a second | ours | points | we are |');
console.log('| --- | ---: | ---: | ---: | ---: |');
for (const [name, measure] of Object.entries(peers)) {
  const turns = [];
  for (let turn = 0; turn < 5; turn += 1) {
    const mine = ours(root, name.includes('bytes') ? 'paid, from bytes' : 'paid');
    const { points, rate } = await measure();
    turns.push({ mine, rate, points, ratio: mine / rate });
  }
  const [theirs, mine, ratio] = ['rate', 'mine', 'ratio'].map((what) => median(turns.map((turn) => turn[what])));
  const row = [name, number(theirs), number(mine), turns[0].points, `${ratio.toPrecision(3)} times`];
  console.log(`| ${row.join(' | ')} |`);
}

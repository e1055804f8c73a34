// What transformations, the response cache and filters add to a request that uses them: `node test/bench/extensions.ts`.
import type { FilterRequest } from '#api/filter.ts';
import { readDirectives } from '#sidecar/cache/cache-control.ts';
import { lifeOf, useOf } from '#sidecar/cache/freshness.ts';
import { ResponseStore } from '#sidecar/cache/store.ts';
import { FilterHost } from '#sidecar/filter/host.ts';
import { StoredHead } from '#sidecar/stored-head.ts';
import { jsonToXml, xmlToJson } from '#sidecar/transform/convert.ts';
import { compileJsonEdits, editJson } from '#sidecar/transform/json-edit.ts';

const edits = compileJsonEdits({
  remove: ['user.password', 'items[].cost'],
  whenUnreadable: 'pass',
});

function json(items: number): Buffer {
  const list = Array.from({ length: items }, (_, id) => ({ id, cost: id * 2, name: `item ${id}` }));
  return Buffer.from(JSON.stringify({ user: { name: 'ada', password: 'secret' }, items: list }));
}

const small = json(22);
const large = json(1500);
const xml = jsonToXml(small, 'root') ?? Buffer.alloc(0);
const head = new StoredHead(200, [
  ['cache-control', 'max-age=60'],
  ['content-type', 'application/json'],
]);
const store = new ResponseStore(1 << 24);
const variantOf = (vary: readonly string[]): string => JSON.stringify(['', ...vary]);
for (let i = 0; i < 1000; i++) {
  store.put(`8080 api /items/${i}`, [], variantOf, {
    head,
    body: small,
    life: lifeOf(head, 0, 0, 0),
    askedAtMs: 0,
  });
}

function hit(i: number): void {
  const found = store.find(`8080 api /items/${i % 1000}`, variantOf);
  if (found === null || found === 'vary') throw new Error('not there');
  if (useOf(found.life, readDirectives([]), 1000) !== 'fresh') throw new Error('not fresh');
  found.head.copy().text();
}

const source = `export const onRequest = () => ({ headers: { set: { a: 'b' } } });`;
const host = new FilterHost({ source, timeoutMs: 5000, memoryMiB: 32 });
const request: FilterRequest = {
  method: 'GET',
  path: '/',
  authority: 'api',
  headers: Array.from({ length: 12 }, (_, i) => [`x-header-${i}`, 'value'] as const),
  body: null,
  peer: [],
  claims: null,
};

async function measure(rounds: number, run: (i: number) => unknown): Promise<number> {
  for (let i = 0; i < rounds / 10; i++) await run(i);
  const before = process.cpuUsage();
  for (let i = 0; i < rounds; i++) {
    const made = run(i);
    if (made instanceof Promise) await made;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / rounds;
}

const rows: [what: string, rounds: number, run: (i: number) => unknown][] = [
  [`JSON edits, ${small.length} bytes`, 50_000, () => editJson(small, edits)],
  [`JSON edits, ${large.length} bytes`, 1000, () => editJson(large, edits)],
  [`XML to JSON, ${xml.length} bytes`, 20_000, () => xmlToJson(xml)],
  [`JSON to XML, ${small.length} bytes`, 20_000, () => jsonToXml(small, 'root')],
  ['cache hit, without the socket', 200_000, hit],
  ['filter, both threads', 10_000, () => host.call(request, null)],
];
const results = [];
for (const [what, rounds, run] of rows) {
  results.push({ what, 'CPU µs': (await measure(rounds, run)).toFixed(1) });
}
console.table(results);
host.retire();

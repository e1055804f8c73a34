import { expect, test } from 'vitest';

import type { EdgeCount } from '#api/call-record.ts';
import { EdgeBook, outside } from '#cli/dashboard/edge-book.ts';

const web = {
  namespace: 'web',
  workload: 'web',
  principal: 'spiffe://cluster.local/ns/web/sa/web',
};
const pay = {
  namespace: 'pay',
  workload: 'pay',
  principal: 'spiffe://cluster.local/ns/pay/sa/pay',
};
const nobody = { namespace: 'unknown', workload: 'unknown', principal: 'unknown' };

function count(changes: Partial<EdgeCount> = {}): EdgeCount {
  return {
    reporter: 'outbound',
    source: web,
    destination: pay,
    service: 'pay.pay.svc.cluster.local',
    protocol: 'http',
    security: 'unknown',
    requests: 0,
    failures: 0,
    refusals: 0,
    durations: [0, 0],
    ...changes,
  };
}

/** What both sides of an edge tell. */
function bothSides(requests: number): ReadonlyMap<string, EdgeCount[]> {
  const inbound = { reporter: 'inbound', security: 'mutual_tls', requests: requests / 2 } as const;
  return new Map([
    ['a', [count({ requests, failures: requests / 10 })]],
    ['b', [count({ ...inbound, refusals: 3 })]],
  ]);
}

test('what was counted before anybody looked is no rate', () => {
  const book = new EdgeBook();
  book.add(new Map([['a', [count({ requests: 100 })]]]), 1000);
  const { edges, windowMs } = book.view();
  expect(windowMs).toBe(0);
  expect(edges[0]).toMatchObject({ total: { requests: 100 }, recent: { requests: 0 } });
});

test('both sides tell of one edge; the caller counts, the callee says how it was protected', () => {
  const book = new EdgeBook();
  book.add(bothSides(100), 1000);
  book.add(bothSides(140), 3000);
  const { edges, windowMs } = book.view();
  expect(windowMs).toBe(2000);
  expect(edges).toHaveLength(1);
  expect(edges[0]).toMatchObject({
    from: 'web/web',
    to: 'pay/pay',
    security: 'mutual_tls',
    recent: { requests: 40, failures: 4 },
    total: { requests: 140, refusals: 3 },
    history: [20],
  });
});

test('a sidecar that began anew, or was silent for a while, spoils no rate', () => {
  const book = new EdgeBook();
  book.add(new Map([['a', [count({ requests: 100 })]]]), 1000);
  book.add(new Map([['a', null]]), 3000);
  book.add(new Map([['a', [count({ requests: 110 })]]]), 5000);
  expect(book.view().edges[0]?.recent.requests).toBe(10);
  book.add(new Map([['a', [count({ requests: 4 })]]]), 7000);
  expect(book.view().edges[0]?.recent.requests).toBe(14);
});

test('an edge that is new to a known sidecar has all its calls now', () => {
  const book = new EdgeBook();
  book.add(new Map([['a', []]]), 1000);
  book.add(new Map([['a', [count({ requests: 5 })]]]), 3000);
  expect(book.view().edges[0]?.recent.requests).toBe(5);
});

test('what is past the window counts no more, and two minutes are kept', () => {
  const book = new EdgeBook();
  for (let i = 0; i < 100; i += 1) {
    book.add(new Map([['a', [count({ requests: Math.min(i, 50) })]]]), i * 2000);
  }
  const [edge] = book.view().edges;
  expect(edge?.recent.requests).toBe(0);
  expect(edge?.history).toHaveLength(59);
});

test('a caller without identity is outside, a callee without one has its host', () => {
  const book = new EdgeBook();
  const inbound = count({ reporter: 'inbound', source: nobody, security: 'none', requests: 1 });
  const away = count({ destination: nobody, service: 'api.example.com', requests: 1 });
  book.add(new Map([['a', [inbound, away]]]), 1000);
  expect(book.view().edges.map(({ from, to }) => [from, to])).toEqual([
    [outside, 'pay/pay'],
    ['web/web', 'api.example.com'],
  ]);
});

test('no sidecar can fill the memory', () => {
  const book = new EdgeBook();
  const many = Array.from({ length: 30_000 }, (_, i) =>
    count({ service: `s${i}`, destination: nobody }),
  );
  book.add(new Map([['a', many]]), 1000);
  expect(book.view().edges).toHaveLength(10_000);
});

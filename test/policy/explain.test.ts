// Reasons: the deciding rule and its line, the nearest miss, dry-run and AUDIT policies.
import { expect, test } from 'vitest';

import { decide } from '#policy/decide.ts';
import { describe, explain } from '#policy/explain.ts';

import {
  authorization,
  compile,
  connection,
  originOf,
  request,
  type PolicySpec,
} from './making.ts';

const written = (name: string, spec: PolicySpec, annotations = {}) =>
  authorization(name, spec, { origin: originOf(spec), annotations });
const toCharges = {
  rules: [
    {
      from: [{ source: { principals: ['cluster.local/ns/shop/sa/web'] } }],
      to: [{ operation: { methods: ['POST'], paths: ['/charges', '/refunds*'] } }],
    },
  ],
};
const post = request({ method: 'POST', path: '/charges?x=1' });

test('an allowed call names the rule and its line', () => {
  const { http } = compile([written('charge', toCharges)]);
  expect(explain(http, connection(), post)).toEqual({
    verdict: {
      allowed: true,
      decidedBy: 'ALLOW',
      namespace: 'shop',
      policy: 'charge',
      rule: 0,
      details: '',
    },
    summary: 'allowed by shop/charge rule 0 (shop.yaml:12)',
    at: 'shop.yaml:12',
    nearest: null,
    audited: [],
    dryRun: [],
  });
});

test('a denied call names the DENY rule', () => {
  const policies = [
    written('charge', toCharges),
    written('stop', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/x'] } }] }, {}] }),
  ];
  const { summary, at, verdict } = explain(compile(policies).http, connection(), post);
  expect(summary).toBe('denied by shop/stop rule 1 (shop.yaml:19)');
  expect(at).toBe('shop.yaml:19');
  expect(verdict.details).toBe('rbac_access_denied_matched_policy[ns[shop]-policy[stop]-rule[1]]');
});

test('a call that no rule allows gets the nearest rule, and each field that it missed', () => {
  const other = written('other', { rules: [{ from: [{ source: { namespaces: ['x'] } }] }] });
  const { http } = compile([other, written('charge', toCharges)]);
  const explanation = explain(http, connection(), request({ method: 'GET', path: '/refund?y' }));
  expect(explanation.nearest).toEqual({
    namespace: 'shop',
    policy: 'charge',
    rule: 0,
    at: 'shop.yaml:12',
    matched: ['from.source.principals'],
    missed: [
      { field: 'to.operation.methods', wanted: ['POST'], got: 'GET', at: 'shop.yaml:21' },
      {
        field: 'to.operation.paths',
        wanted: ['/charges', '/refunds*'],
        got: '/refund',
        at: 'shop.yaml:23',
      },
    ],
  });
  expect(explanation.summary).toBe(
    'denied: no rule of the 2 ALLOW policies that apply matches; nearest is shop/charge rule 0 ' +
      '(shop.yaml:12): to.operation.methods is GET, not POST; ' +
      'to.operation.paths is /refund, not /charges or /refunds*',
  );
});

test('of rules that match as many fields, the one that misses fewest is nearest', () => {
  const policy = written('p', {
    rules: [
      { to: [{ operation: { methods: ['GET'], paths: ['/a'], hosts: ['a'] } }] },
      { to: [{ operation: { methods: ['GET'], paths: ['/a'] } }] },
    ],
  });
  const { nearest } = explain(compile([policy]).http, connection(), request());
  expect(nearest).toMatchObject({ rule: 1, matched: ['to.operation.methods'] });
});

test('what a plaintext caller has not is (none), and a line that is unknown is its parent’s', () => {
  const policy = authorization('p', toCharges, {
    origin: { file: 'a.yaml', line: 3, lines: { 'spec.rules[0].from': 9 } },
  });
  const { nearest } = explain(compile([policy]).http, connection(null), post);
  expect(nearest?.missed).toEqual([
    {
      field: 'from.source.principals',
      wanted: ['cluster.local/ns/shop/sa/web'],
      got: '(none)',
      at: 'a.yaml:9',
    },
  ]);
  expect(nearest?.at).toBe('a.yaml:3');
});

test('a when condition is named by its key, a negative one by what it must not be', () => {
  const policy = authorization('p', {
    rules: [
      {
        when: [
          { key: 'request.headers[x-user]', values: ['ann'] },
          { key: 'source.ip', notValues: ['10.0.0.0/8'] },
        ],
      },
    ],
  });
  const { nearest } = explain(compile([policy]).http, connection(), request());
  expect(nearest?.missed).toEqual([
    { field: 'when[request.headers[x-user]]', wanted: ['ann'], got: '(none)', at: null },
    { field: 'when[source.ip].notValues', wanted: ['not 10.0.0.0/8'], got: '10.0.0.7', at: null },
  ]);
});

test('on TCP an ALLOW rule with an HTTP field is out of force, and the reason says so', () => {
  const { tcp } = compile([written('charge', toCharges)]);
  const { verdict, nearest } = explain(tcp, connection(), null);
  expect(verdict.allowed).toBe(false);
  expect(nearest?.matched).toEqual(['from.source.principals']);
  expect(nearest?.missed.map(({ field, got }) => [field, got])).toEqual([
    ['to.operation.methods', '(TCP has none, which drops the rule)'],
    ['to.operation.paths', '(TCP has none, which drops the rule)'],
  ]);
});

test('a value that cannot be read and a key that is unknown are named as what drops the rule', () => {
  const policy = authorization('p', {
    rules: [
      { from: [{ source: { ipBlocks: ['nonsense', '10.0.0.0/8'] } }] },
      { when: [{ key: 'request.nope', values: ['a'] }] },
    ],
  });
  const { http } = compile([policy]);
  expect(explain(http, connection(), request()).nearest?.missed).toEqual([
    {
      field: 'from.source.ipBlocks',
      wanted: ['nonsense', '10.0.0.0/8'],
      got: '(nonsense cannot be read, which drops the rule)',
      at: null,
    },
  ]);
});

test('an ALLOW policy without rules denies, and there is nothing near', () => {
  const explanation = explain(compile([authorization('p', {})]).http, connection(), request());
  expect(explanation.nearest).toBeNull();
  expect(explanation.summary).toBe('denied: no rule of the one ALLOW policy that applies matches');
});

test('policies under trial decide nothing and say what they would have done', () => {
  const dry = { 'istio.io/dry-run': 'true' };
  const { http } = compile([
    written('trial', { action: 'DENY', rules: [{}] }, dry),
    written('trial-allow', { rules: [{ to: [{ operation: { methods: ['PUT'] } }] }] }, dry),
  ]);
  const { verdict, summary, dryRun } = explain(http, connection(), request());
  expect(verdict.allowed).toBe(true);
  expect(summary).toBe('allowed: no DENY rule matches, and no ALLOW policy applies');
  expect(dryRun).toEqual([
    'shop/trial (dry run, DENY) would deny by rule 0 (shop.yaml:13)',
    'shop/trial-allow (dry run, ALLOW) would not match',
  ]);
});

test('AUDIT rules that match are listed, and change nothing', () => {
  const { http } = compile([
    authorization('log', {
      action: 'AUDIT',
      rules: [{ to: [{ operation: { methods: ['PUT'] } }] }, {}],
    }),
  ]);
  const { verdict, audited } = explain(http, connection(), request());
  expect(verdict.allowed).toBe(true);
  expect(audited).toEqual(['shop/log rule 1']);
});

test('a verdict alone can be described', () => {
  const { http } = compile([written('charge', toCharges)]);
  expect(describe(http, decide(http, connection(), request()))).toBe(
    'denied: no rule of the one ALLOW policy that applies matches',
  );
});

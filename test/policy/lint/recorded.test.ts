// What the checks claim, held against what real Envoy did.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { collectMesh, type MeshResources } from '#api/mesh.ts';
import type { Problem } from '#api/problem.ts';
import { placeOf } from '#api/origin.ts';
import { lintMesh } from '#policy/lint/lint.ts';
import { type PolicyValue, valuesOf } from '#policy/lint/values.ts';
import { type Case, readCases } from '#test/data/cases.ts';

import { mesh } from './mesh.ts';

/** Codes that say "this value never matches". */
const neverCodes = new Set([
  'path-with-query',
  'path-relative',
  'path-not-normal',
  'method-lower-case',
  'method-unknown',
  'sni-upper-case',
  'principal-with-scheme',
  'trust-domain-unknown',
  'request-principal-without-subject',
  'request-principal-split-in-scheme',
  'issuer-unknown',
  'header-blank',
  'header-gone',
  'ip-mapped',
  'token-unread',
  'claim-split',
]);

function linted(c: Case): { mesh: MeshResources; problems: Problem[] } {
  const { name, namespace, labels, serviceAccount, ports } = c.workload;
  const containerPorts = ports.map(({ port }) => ({ containerPort: port }));
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, annotations: { inject: 'true' } },
    spec: {
      template: {
        metadata: { labels },
        spec: { serviceAccountName: serviceAccount, containers: [{ ports: containerPorts }] },
      },
    },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      selector: labels,
      ports: ports.map((one) => ({ name: one.name, port: one.port, appProtocol: one.protocol })),
    },
  };
  const config = { kind: 'MeshConfig', spec: c.meshConfig };
  const documents = [deployment, service, config].map((one) => JSON.stringify(one));
  const policies = c.policies.filter((_, i) => c.validation[i]?.valid);
  const { resources } = loadText([...documents, ...policies].join('\n---\n'), 'f');
  const mesh = collectMesh(resources);
  return { mesh, problems: lintMesh(mesh) };
}

const cases = readCases((c) => c.oracleError === undefined && c.admitInvalid !== true).map((c) => ({
  ...c,
  ...linted(c),
}));

test('a value that is said never to match has matched no recorded request', () => {
  let rules = 0;
  for (const c of cases) {
    const { mesh, problems } = c;
    const never = problems.filter(({ code }) => neverCodes.has(code));
    for (const value of mesh.authorizationPolicies.flatMap(lonelyValues)) {
      if (!never.some((problem) => isAbout(problem, value))) continue;
      rules += 1;
      const { namespace, name } = value.policy.metadata;
      const rule = `ns[${namespace}]-policy[${name}]-rule[${value.rule}]`;
      const matched = c.expected.filter(({ details }) => details?.includes(rule));
      expect({ case: c.name, rule, matched }).toEqual({ case: c.name, rule, matched: [] });
    }
  }
  expect(rules).toBeGreaterThan(15);
});

test('where an ALLOW of one value is said never to match, every HTTP request was refused', () => {
  let requests = 0;
  const allowed: string[] = [];
  for (const c of cases) {
    const { mesh, problems } = c;
    const [policy, ...others] = mesh.authorizationPolicies;
    if (policy?.spec.action !== 'ALLOW' || others.length > 0 || policy.spec.rules?.length !== 1)
      continue;
    const [value] = lonelyValues(policy);
    const said = problems.find((one) => neverCodes.has(one.code) && value && isAbout(one, value));
    if (said === undefined) continue;
    for (const [i, expected] of c.expected.entries()) {
      if (c.requests[i]?.kind === 'tcp') continue;
      requests += 1;
      const label = `${c.name} ${c.requests[i]?.id} ${said.code}`;
      if (expected.decision === 'allow') allowed.push(label);
    }
  }
  expect(allowed).toEqual([]);
  expect(requests).toBeGreaterThan(100);
});

test('where a DENY is said to close a TCP port, its connections were closed', () => {
  let connections = 0;
  for (const c of cases) {
    const { mesh, problems } = c;
    if (mesh.authorizationPolicies.length !== 1) continue;
    const said = problems.find(({ code }) => code === 'deny-closes-tcp');
    if (said === undefined || !said.message.includes('closes every connection')) continue;
    if (!said.message.includes('TCP port 9000')) continue;
    for (const [i, request] of c.requests.entries()) {
      if (request.destination.port !== 9000) continue;
      connections += 1;
      expect([c.name, c.expected[i]?.decision]).toEqual([c.name, 'closed']);
    }
  }
  expect(connections).toBeGreaterThan(5);
});

test('where the only ALLOW rule is said to be dropped on a TCP port, its connections were closed', () => {
  let connections = 0;
  for (const c of cases) {
    const { mesh, problems } = c;
    const [policy, ...others] = mesh.authorizationPolicies;
    if (policy?.spec.rules?.length !== 1 || others.length > 0) continue;
    if (!problems.some(({ code }) => code === 'allow-dropped-on-tcp')) continue;
    for (const [i, request] of c.requests.entries()) {
      if (request.destination.port !== 9000) continue;
      connections += 1;
      expect([c.name, c.expected[i]?.decision]).toEqual([c.name, 'closed']);
    }
  }
  expect(connections).toBeGreaterThan(5);
});

/** Positive values that are the only one of their rule: the rule stands and falls with them. */
function lonelyValues(policy: MeshResources['authorizationPolicies'][number]): PolicyValue[] {
  const values = valuesOf(policy);
  return values.filter(
    (value) => !value.negative && values.filter(({ rule }) => rule === value.rule).length === 1,
  );
}

function isAbout({ line, column }: Problem, { policy, path, listPath }: PolicyValue): boolean {
  return [path, listPath].some((at) => {
    const place = placeOf(policy.origin, at);
    return place.line === line && place.column === column;
  });
}

test('no policy that is valid makes a check throw', () => {
  const value = fc.oneof(
    fc.string({ minLength: 1, maxLength: 12 }),
    fc
      .array(
        fc.constantFrom('*', '/', 'a', '.', '%2', 'F', '{*}', '{**}', ':', '?', '//', 'ns', ' '),
        {
          minLength: 1,
          maxLength: 8,
        },
      )
      .map((parts) => parts.join('')),
  );
  const values = fc.array(value, { minLength: 1, maxLength: 3 });
  const source = fc.record(
    { principals: values, notPrincipals: values, requestPrincipals: values, notNamespaces: values },
    { requiredKeys: ['principals'] },
  );
  const operation = fc.record(
    { paths: values, notPaths: values, methods: values, hosts: values },
    { requiredKeys: ['methods'] },
  );
  const key = fc.constantFrom('request.headers[a]', 'request.auth.claims[a]', 'connection.sni');
  const when = fc.record({ key, values, notValues: values });
  const rule = fc.record(
    {
      from: fc.array(fc.record({ source }), { maxLength: 2 }),
      to: fc.array(fc.record({ operation }), { maxLength: 2 }),
      when: fc.array(when, { maxLength: 2 }),
    },
    { requiredKeys: [] },
  );
  const spec = fc.record({
    action: fc.constantFrom('ALLOW', 'DENY', 'AUDIT'),
    rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
  });
  let policies = 0;
  fc.assert(
    fc.property(spec, (generated) => {
      const policy = JSON.stringify({
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'p', namespace: 'foo' },
        spec: generated,
      });
      const { resources } = loadText(`${mesh}\n---\n${policy}`, 'f');
      const collected = collectMesh(resources);
      policies += collected.authorizationPolicies.length;
      for (const { line, mend } of lintMesh(collected)) {
        expect(line).toBeGreaterThan(0);
        expect(mend).toBeTruthy();
      }
    }),
    { numRuns: 150, seed: 5 },
  );
  expect(policies).toBeGreaterThan(50);
});

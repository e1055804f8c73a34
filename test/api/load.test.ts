import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { loadFiles, loadText } from '#api/load.ts';
import { placeOf } from '#api/origin.ts';
import { readCases } from '#test/data/cases.ts';

test('a policy comes with its defaults and the lines of its nodes', () => {
  const text = `apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata: {name: p}
spec:
  rules:
  - to:
    - operation:
        paths: ["/a"]
`;
  const { resources, problems } = loadText(text, 'p.yaml');
  expect(problems).toEqual([]);
  expect(resources).toHaveLength(1);
  const [policy] = resources;
  expect(policy).toMatchObject({ metadata: { namespace: 'default' }, spec: { action: 'ALLOW' } });
  expect(policy?.origin?.lines['spec.rules[0].to[0].operation.paths[0]']).toBe(8);
  expect(placeOf(policy?.origin, 'spec.rules[0].to[0].operation.paths[0]')).toEqual({
    file: 'p.yaml',
    line: 8,
    column: 17,
  });
});

test('columns stay out of what is sent to sidecars', () => {
  const { resources } = loadText('apiVersion: v1\nkind: Namespace\nmetadata: {name: a}', 'f');
  expect(JSON.stringify(resources[0])).not.toContain('column');
});

test('an invalid resource is left out and the others stay', () => {
  const text = `
apiVersion: v1
kind: Namespace
metadata: {name: foo}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: foo}
spec: {action: DENY}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: a, namespace: foo}
`;
  const { resources, problems } = loadText(text, 'f');
  expect(resources.map(({ kind }) => kind)).toEqual(['Namespace', 'ServiceAccount']);
  expect(problems).toHaveLength(1);
});

test('a List is unfolded, and its items keep their lines', () => {
  const text = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ServiceAccount
  metadata: {name: a, namespace: foo}
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {name: p, namespace: foo}
  spec:
    rules:
    - to:
      - operation: {ports: [8080]}
`;
  const { resources, problems } = loadText(text, 'f');
  expect(resources.map(({ kind }) => kind)).toEqual(['ServiceAccount']);
  expect(resources[0]?.origin).toMatchObject({ line: 4 });
  expect(problems[0]).toMatchObject({ line: 13, column: 29, mend: 'put it in quotes: "8080"' });
});

test.each([
  ['security.istio.io/v1', 'AuthorisationPolicy', /did you mean AuthorizationPolicy/],
  ['security.istio.io/v1', 'AuthorizationPolicies', /did you mean AuthorizationPolicy/],
  ['security.istio/v1', 'AuthorizationPolicy', /security\.istio\.io\/v1/],
  ['v1', 'Servcie', /did you mean Service/],
])('the kind %s %s gets a warning with what was meant', (apiVersion, kind, mend) => {
  const text = `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a}`;
  const { problems } = loadText(text, 'f');
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatchObject({ severity: 'warning', code: 'kind-unknown', line: 2 });
  expect(problems[0]?.mend).toMatch(mend);
});

test('a kind of Istio that is not served gets a warning, one of Kubernetes that means nothing here none', () => {
  const warned = loadText(
    'apiVersion: networking.istio.io/v1\nkind: EnvoyFilter\nmetadata: {name: a}',
    'f',
  );
  expect(warned.problems[0]?.message).toContain('changes nothing');
  for (const [apiVersion, kind] of [
    ['v1', 'Secret'],
    ['v1', 'ConfigMap'],
    ['batch/v1', 'CronJob'],
    ['networking.k8s.io/v1', 'Ingress'],
    ['rbac.authorization.k8s.io/v1', 'Role'],
  ]) {
    const text = `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a}`;
    expect(loadText(text, 'f')).toEqual({ resources: [], problems: [] });
  }
});

test('a version that is not served is an error', () => {
  const text = 'apiVersion: security.istio.io/v2\nkind: PeerAuthentication\nmetadata: {name: a}';
  expect(loadText(text, 'f').problems[0]).toMatchObject({
    severity: 'error',
    code: 'version-unknown',
  });
});

test('a PolicyTest passes whole and without a word', () => {
  const text =
    'apiVersion: selvage.dev/v1alpha1\nkind: PolicyTest\nmetadata: {name: t}\nspec: {calls: []}\nmore: 1';
  const { resources, problems } = loadText(text, 'f');
  expect(problems).toEqual([]);
  expect(resources[0]).toMatchObject({ kind: 'PolicyTest', document: { more: 1 } });
});

test('a field that does not exist is warned of with what was meant, and dropped', () => {
  const text = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: foo}
spec:
  rules:
  - to:
    - operation: {paths: [/a], method: [GET]}
  selector:
    match_labels: {app: a}
`;
  const { resources, problems } = loadText(text, 'f');
  expect(problems.map(({ code, mend }) => `${code} ${mend}`)).toEqual([
    'field-unknown did you mean methods?',
    'field-unknown did you mean matchLabels?',
    expect.stringContaining('selector-empty'),
  ]);
  expect(JSON.stringify(resources[0]?.spec)).not.toContain('GET');
});

test('a field without a value restricts nothing, and that is said', () => {
  const text = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: foo}
spec:
  rules:
  - from:
    to:
    - operation: {paths: [/a]}
`;
  const { resources, problems } = loadText(text, 'f');
  expect(problems).toMatchObject([{ severity: 'warning', code: 'field-empty', line: 6 }]);
  expect(resources[0]?.spec).toMatchObject({ rules: [{ to: [{}] }] });
});

test.each([
  ['Foo', /lower-case/],
  ['a_b', /lower-case/],
  ['-a', /begin and end/],
])('the name %s is refused', (name, mend) => {
  const { problems } = loadText(
    `apiVersion: v1\nkind: Namespace\nmetadata: {name: "${name}"}`,
    'f',
  );
  expect(problems[0]).toMatchObject({ severity: 'error', code: 'name-invalid', column: 18 });
  expect(problems[0]?.mend).toMatch(mend);
});

test('a missing name is said to be missing', () => {
  const { problems } = loadText('apiVersion: v1\nkind: Namespace\n', 'f');
  expect(problems[0]).toMatchObject({ code: 'field-missing', message: 'metadata.name is missing' });
});

test('the mesh is configured by a ConfigMap, an operator or a MeshConfig', () => {
  const texts = [
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |-\n    trustDomain: corp\n    rootNamespace: ""\n',
    'apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: x}\nspec: {meshConfig: {trustDomain: corp}}',
    'kind: MeshConfig\ntrustDomain: corp',
    'apiVersion: selvage.dev/v1alpha1\nkind: MeshConfig\nmetadata: {name: mesh}\nspec: {trustDomain: corp}',
  ];
  for (const text of texts) {
    const { resources, problems } = loadText(text, 'f');
    expect(problems).toEqual([]);
    expect(resources).toMatchObject([
      { kind: 'MeshConfig', spec: { trustDomain: 'corp', rootNamespace: 'istio-system' } },
    ]);
  }
});

test('an error in an embedded configuration has the line of the file', () => {
  const text = `apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |-
    trustDomain: corp
    pathNormalization:
      normalization: MERGE
`;
  const { problems } = loadText(text, 'f');
  expect(problems[0]).toMatchObject({ severity: 'error', line: 8 });
  const broken = text.replace('trustDomain: corp', 'trustDomain: "corp');
  expect(loadText(broken, 'f').problems[0]).toMatchObject({ code: 'yaml-syntax', file: 'f' });
});

test('a port of an authorizer may be in quotes, as Istio writes it', () => {
  const text =
    'kind: MeshConfig\nextensionProviders: [{name: a, envoyExtAuthzHttp: {service: x, port: "8000"}}]';
  expect(loadText(text, 'f').resources[0]).toMatchObject({
    spec: { extensionProviders: [{ envoyExtAuthzHttp: { port: 8000 } }] },
  });
});

test('the ServiceEntries of recorded cases are read', () => {
  const entries = readCases((c) => c.extraResources !== undefined).flatMap(
    (c) => c.extraResources ?? [],
  );
  expect(entries.length).toBeGreaterThan(0);
  for (const text of entries) {
    expect(loadText(text, 'f')).toMatchObject({
      resources: [{ kind: 'ServiceEntry' }],
      problems: [],
    });
  }
});

const namespace = (name: string): string =>
  `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}`;

test('files are loaded in their order', () => {
  const { resources } = loadFiles([
    { file: 'b', text: namespace('b') },
    { file: 'a', text: namespace('a') },
  ]);
  expect(resources.map(({ metadata, origin }) => [metadata.name, origin?.file])).toEqual([
    ['b', 'b'],
    ['a', 'a'],
  ]);
});

test('no JSON value and no mutated policy makes it throw', () => {
  const texts = readCases((c) => c.policies.length > 0).flatMap(({ policies }) => policies);
  const mutated = fc
    .record({
      text: fc.constantFrom(...texts),
      at: fc.nat(600),
      drop: fc.nat(30),
      put: fc.constantFrom('', 'null', '[]', '{}', '- ', '\n', ': ', '1', '"', 'yes', '*', '{*}'),
    })
    .map(({ text, at, drop, put }) => text.slice(0, at) + put + text.slice(at + drop));
  const kind = fc.constantFrom(
    'AuthorizationPolicy',
    'PeerAuthentication',
    'RequestAuthentication',
  );
  const odd = fc
    .record({ kind, metadata: fc.jsonValue(), spec: fc.jsonValue() })
    .map((fields) => JSON.stringify({ apiVersion: 'security.istio.io/v1', ...fields }));
  fc.assert(
    fc.property(fc.oneof(mutated, odd, fc.json()), (text) => {
      for (const { severity, message } of loadText(text, 'f').problems) {
        expect(['error', 'warning']).toContain(severity);
        expect(message).not.toBe('');
      }
    }),
    { numRuns: 400, seed: 11 },
  );
});

test('a format of access logs that no sidecar can write is told of, and takes nothing else with it', () => {
  const text = `kind: MeshConfig
trustDomain: corp
accessLogFormat: "%RESPONSE_COD%"
extensionProviders:
  - name: mine
    envoyFileAccessLog:
      logFormat:
        labels: { code: "%RESPONSE_CODE%", who: { cel: "%CEL(request.)%" } }
`;
  const { resources, problems } = loadText(text, 'f');
  expect(resources).toMatchObject([{ spec: { trustDomain: 'corp' } }]);
  expect(problems).toMatchObject([
    {
      severity: 'warning',
      line: 3,
      message: 'character 1: there is no operator %RESPONSE_COD%; sidecars leave the log out',
      mend: 'did you mean %RESPONSE_CODE%?',
    },
    {
      line: 8,
      message:
        'character 14: expected a name after the dot, and found the end; sidecars leave the log out',
    },
  ]);
});

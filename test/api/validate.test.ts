import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { validateResource } from '#api/read-resource.ts';
import { durationMsOf } from '#api/validate/request-authentication.ts';
import { ipBlockFault, portFault, templateFault } from '#api/validate/values.ts';
import { readCases } from '#test/data/cases.ts';

test('every recorded document is valid exactly where the webhook of istiod said so', () => {
  let documents = 0;
  const differing = readCases().flatMap((c) =>
    c.policies.flatMap((policy, i) => {
      documents += 1;
      const { resources, problems } = loadText(policy, `${c.name}.yaml`);
      const valid = problems.every(({ severity }) => severity !== 'error');
      const recorded = c.validation[i]?.valid;
      return valid === recorded && resources.length === (valid ? 1 : 0) ? [] : [`${c.name} ${i}`];
    }),
  );
  expect(documents).toBeGreaterThan(1000);
  expect(differing).toEqual([]);
});

test('every error of the recorded documents has its line, its reason and its resource', () => {
  const errors = readCases().flatMap((c) =>
    c.policies.flatMap((policy) => loadText(policy, 'f.yaml').problems),
  );
  for (const { line, column, message, resource } of errors) {
    expect(line).toBeGreaterThan(0);
    expect(column).toBeGreaterThan(0);
    expect(message.length).toBeGreaterThan(10);
    expect(resource).toMatch(/^\w+ \S+\/\S+$/);
  }
});

const policy = (spec: string, kind = 'AuthorizationPolicy', annotations = ''): string => `
apiVersion: security.istio.io/v1
kind: ${kind}
metadata:
  name: p
  namespace: foo
  annotations: {${annotations}}
spec:
${spec.replace(/^/gm, '  ')}
`;

/** Codes of all errors with the text at their place. */
function errorsOf(text: string): string[] {
  const lines = text.split('\n');
  return loadText(text, 'f.yaml')
    .problems.filter(({ severity }) => severity === 'error')
    .map(({ code, line = 0, column = 0 }) => {
      const rest = lines[line - 1]?.slice(column - 1) ?? '';
      return `${code} @ ${/^("[^"]*"|[^\s,\]}]+)/.exec(rest)?.[0] ?? ''}`;
    });
}

test.each([
  ['a DENY without rules', 'action: DENY', ['rules-missing @ DENY']],
  ['a CUSTOM without rules', 'action: CUSTOM\nprovider: {name: x}', ['rules-missing @ CUSTOM']],
  ['a CUSTOM without a provider', 'action: CUSTOM\nrules: [{}]', ['provider-missing @ CUSTOM']],
  [
    'a provider with ALLOW',
    'provider: {name: x}\nrules: [{}]',
    ['provider-unexpected @ provider:'],
  ],
  ['an empty source', 'rules:\n- from:\n  - source: {}', ['source-empty @ source:']],
  ['a missing source', 'rules:\n- from:\n  - {}', ['source-missing @ {']],
  ['an empty operation', 'rules:\n- to:\n  - operation: {}', ['operation-empty @ operation:']],
  [
    'an operation with an unknown field only',
    'rules:\n- to:\n  - operation: {pathz: [/a]}',
    ['operation-empty @ operation:'],
  ],
  ['an empty value', 'rules:\n- to:\n  - operation: {paths: [/a, ""]}', ['value-empty @ ""']],
  [
    'a bad address',
    'rules:\n- from:\n  - source: {ipBlocks: [1.2.3.4, 1.2.3]}',
    ['value-invalid @ 1.2.3'],
  ],
  ['a bad port', 'rules:\n- to:\n  - operation: {notPorts: ["http"]}', ['value-invalid @ "http"']],
  [
    'a bad template',
    'rules:\n- to:\n  - operation: {paths: ["/{**}/{*}"]}',
    ['value-invalid @ "/{**}/{*}"'],
  ],
  [
    'an unknown key',
    'rules:\n- when:\n  - key: request.header[x]\n    values: [a]',
    ['key-unknown @ request.header[x'],
  ],
  [
    'a key without its name',
    'rules:\n- when:\n  - key: request.headers\n    values: [a]',
    ['key-invalid @ request.headers'],
  ],
  ['a condition without values', 'rules:\n- when:\n  - key: source.ip', ['values-missing @ key:']],
  [
    'service accounts beside namespaces',
    'rules:\n- from:\n  - source: {serviceAccounts: [a], namespaces: [b]}',
    ['source-mixed @ serviceAccounts:'],
  ],
  [
    'a service account with a star',
    'rules:\n- from:\n  - source: {serviceAccounts: ["a/*"]}',
    ['value-invalid @ "a/*"'],
  ],
  [
    '17 service accounts',
    `rules:\n- from:\n  - source: {serviceAccounts: [${'a,'.repeat(17)}]}`,
    ['values-too-many @ serviceAccounts:'],
  ],
  [
    'a trust domain with a slash',
    'rules:\n- from:\n  - source: {trustDomains: [a/b]}',
    ['value-invalid @ a/b'],
  ],
  [
    'a namespace with CUSTOM',
    'action: CUSTOM\nprovider: {name: x}\nrules:\n- from:\n  - source: {namespaces: [a]}',
    ['custom-unsupported @ namespaces:'],
  ],
  [
    'a claim with CUSTOM',
    'action: CUSTOM\nprovider: {name: x}\nrules:\n- when:\n  - key: request.auth.claims[a]\n    values: [b]',
    ['custom-unsupported @ request.auth.claims[a'],
  ],
  ['a selector with a star', 'selector: {matchLabels: {app: "a*"}}', ['selector-invalid @ "a*"']],
  [
    'selector and targetRefs',
    'selector: {matchLabels: {a: b}}\ntargetRefs: [{kind: Service, name: x}]',
    ['attachment-ambiguous @ targetRefs:'],
  ],
  [
    'a targetRef to a Deployment',
    'targetRefs: [{group: apps, kind: Deployment, name: x}]',
    ['target-invalid @ {group:'],
  ],
  ['an action in small letters', 'action: allow', ['shape @ allow']],
  ['a list item without a value', 'rules:\n-', ['shape @ -']],
])('AuthorizationPolicy: %s is refused at its place', (_, spec, expected) => {
  const found = errorsOf(policy(spec));
  expect(found.map((one) => one.replace(/ @ [-\s]*$/, ' @ -'))).toEqual(expected);
});

test.each([
  [
    'portLevelMtls without a selector',
    'portLevelMtls: {8080: {mode: STRICT}}',
    ['port-level-without-selector @ portLevelMtls:'],
  ],
  [
    'a port by name',
    'selector: {matchLabels: {a: b}}\nportLevelMtls: {http: {mode: STRICT}}',
    ['value-invalid @ http:'],
  ],
  ['a mode that is none', 'mtls: {mode: ON}', ['shape @ ON']],
])('PeerAuthentication: %s is refused at its place', (_, spec, expected) => {
  expect(errorsOf(policy(spec, 'PeerAuthentication'))).toEqual(expected);
});

test.each([
  ['neither issuer nor jwksUri', 'jwtRules: [{audiences: [a]}]'],
  ['an empty audience', 'jwtRules: [{issuer: a, audiences: [""]}]'],
  ['a jwksUri of another scheme', 'jwtRules: [{issuer: a, jwksUri: "ftp://x"}]'],
  ['keys that are not JSON', 'jwtRules: [{issuer: a, jwks: "{keys"}]'],
  ['a key without a type', 'jwtRules: [{issuer: a, jwks: \'{"keys":[{"n":"x"}]}\'}]'],
  [
    'a header that is no name',
    'jwtRules: [{issuer: a, outputClaimToHeaders: [{header: "x y", claim: c}]}]',
  ],
  [
    'a claim without a header',
    'jwtRules: [{issuer: a, outputClaimToHeaders: [{header: "", claim: c}]}]',
  ],
  ['a timeout of nothing', 'jwtRules: [{issuer: a, timeout: 0s}]'],
  ['a header location without a name', 'jwtRules: [{issuer: a, fromHeaders: [{name: ""}]}]'],
])('RequestAuthentication: %s is refused', (_, spec) => {
  expect(errorsOf(policy(spec, 'RequestAuthentication'))).toHaveLength(1);
});

const onTrial = (action: string, value: string): string =>
  policy(`action: ${action}\nrules: [{}]`, undefined, `istio.io/dry-run: "${value}"`);

test('a dry-run annotation must be a boolean as Go writes it, on ALLOW or DENY', () => {
  expect(errorsOf(onTrial('DENY', 'T'))).toEqual([]);
  expect(errorsOf(onTrial('DENY', 'yes'))).toEqual(['dry-run-invalid @ "yes"']);
  expect(errorsOf(onTrial('AUDIT', 'true'))).toHaveLength(1);
});

test('a bare word that YAML 1.1 takes for a boolean is refused, and quoting it is the way out', () => {
  const text = policy('rules:\n- from:\n  - source: {namespaces: [no]}');
  const [problem] = loadText(text, 'f').problems;
  expect(problem).toMatchObject({ severity: 'error', code: 'shape' });
  expect(problem?.mend).toContain('"no"');
});

test('a number in a list of ports is refused, and quoting it is the way out', () => {
  const [problem] = loadText(policy('rules:\n- to:\n  - operation: {ports: [8080]}'), 'f').problems;
  expect(problem).toMatchObject({ severity: 'error', mend: 'put it in quotes: "8080"' });
});

test('the webhook takes a value without a place', () => {
  const value = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p', namespace: 'foo' },
    spec: { action: 'DENY' },
  };
  const [problem] = validateResource({ value });
  expect(problem).toMatchObject({ code: 'rules-missing', resource: 'AuthorizationPolicy foo/p' });
  expect(problem?.line).toBeUndefined();
  expect(validateResource({ value: { ...value, spec: {} } })).toEqual([]);
});

test.each([
  ['1.2.3.4', true],
  ['1.2.3.4/33', false],
  ['1.2.3.4/08', false],
  ['01.2.3.4', false],
  ['1.2.3.256', false],
  ['::', true],
  ['::1/128', true],
  ['::ffff:1.2.3.4', true],
  ['1::2::3', false],
  ['1:2:3:4:5:6:7:8', true],
  ['1:2:3:4:5:6:7::', true],
  ['1:2:3:4:5:6:7:8::', false],
  ['fe80::1%eth0', true],
  ['fe80::1%eth0/64', false],
  ['1:2', false],
  ['', false],
])('the address %s is good: %s', (value, good) => {
  expect(ipBlockFault(value) === null).toBe(good);
});

test('ports and templates are good or bad as in Go', () => {
  expect(['0', '65535', '080'].map(portFault)).toEqual([null, null, null]);
  expect(['65536', '-1', '+1', '', '1e3'].every((value) => portFault(value) !== null)).toBe(true);
  const good = ['/a/{*}/b', '/a/{*}/{**}', '/{**}', '/{**}/a', '/a'];
  expect(good.map(templateFault)).toEqual(good.map(() => null));
  const bad = ['/{**}/{**}', '/x{*}', '/{a}', '/a//{*}', '/ä/{*}', '/{*}/*'];
  expect(bad.filter((value) => templateFault(value) === null)).toEqual([]);
});

test('durations are those of Go', () => {
  expect(['5s', '1h1m', '1.5s', '500ms'].map(durationMsOf)).toEqual([5000, 3_660_000, 1500, 500]);
  expect(['', '5', 's', '5 s', '-1s'].map(durationMsOf)).toEqual([null, null, null, null, null]);
});

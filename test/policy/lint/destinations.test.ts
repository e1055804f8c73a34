import { expect, test } from 'vitest';

import { codes, lint, mesh, resource } from './mesh.ts';

/** A document of any kind, in bar. */
function networking(kind: string, spec: string, name = 'd'): string {
  const group = /^(CircuitBreaker|HealthCheck)$/.test(kind)
    ? 'selvage.dev/v1alpha1'
    : 'networking.istio.io/v1';
  return `apiVersion: ${group}
kind: ${kind}
metadata: {name: ${name}, namespace: bar}
spec: ${spec}`;
}

const rule = (spec: string, name?: string): string => networking('DestinationRule', spec, name);
const srv = 'srv.foo.svc.cluster.local';

test('a host that nobody has, with the one that was meant', () => {
  expect(codes(mesh, rule('{host: web}'))).toEqual([]);
  expect(codes(mesh, rule(`{host: ${srv}}`))).toEqual([]);
  expect(codes(mesh, rule('{host: "*.local"}'))).toEqual([]);
  const [short] = lint(mesh, rule('{host: srv.foo}'));
  expect(short).toMatchObject({
    code: 'destination-host-unknown',
    mend: `did you mean ${srv}?`,
  });
  const [slip] = lint(mesh, rule('{host: srv.fooo.svc.cluster.local}'));
  expect(slip?.mend).toBe(`did you mean ${srv}?`);
  expect(codes(mesh, rule('{host: srv}'))).toEqual(['destination-host-unknown']);
  const breaker = '{host: wbe, expression: NetworkErrorRatio() > 1}';
  expect(codes(mesh, networking('CircuitBreaker', breaker))).toEqual(['destination-host-unknown']);
  // A folder without Services says nothing of them.
  expect(codes(rule('{host: nowhere}'))).toEqual([]);
});

test('rules of one host: a policy or a subset that is ignored', () => {
  const policy = 'trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}';
  const one = rule(`{host: web, ${policy}}`, 'one');
  expect(codes(mesh, one, rule(`{host: web.bar.svc.cluster.local, ${policy}}`, 'two'))).toEqual([
    'destination-rules-apart',
  ]);
  const subsets = 'subsets: [{name: v1, labels: {app: web}}]';
  expect(codes(mesh, one, rule(`{host: web, ${subsets}}`, 'two'))).toEqual([]);
  const [problem] = lint(
    mesh,
    rule(`{host: web, ${subsets}}`, 'one'),
    rule(`{host: web, ${subsets}}`, 'two'),
  );
  expect(problem?.message).toBe(
    'DestinationRule bar/one is older and has a subset v1: this one is ignored',
  );
  const selecting = rule(`{host: web, workloadSelector: {matchLabels: {a: b}}, ${policy}}`, 'two');
  expect(codes(mesh, one, selecting)).toEqual([]);
  const check = '{host: web, tcp: {}}';
  expect(
    codes(mesh, networking('HealthCheck', check, 'one'), networking('HealthCheck', check, 'two')),
  ).toEqual(['destination-rules-apart']);
});

const subsetCodes = (labels: string): string[] =>
  codes(mesh, rule(`{host: web, subsets: [{name: v, labels: ${labels}}]}`));

const subsetOfEntry = (label: string): string =>
  rule(`{host: x.y, subsets: [{name: v, labels: {v: ${label}}}]}`);

test('a subset whose labels nothing has', () => {
  expect(subsetCodes('{app: web}')).toEqual([]);
  expect(subsetCodes('{}')).toEqual([]);
  expect(subsetCodes('{version: v9}')).toEqual(['subset-selects-nothing']);
  const entry = networking(
    'ServiceEntry',
    '{hosts: [x.y], resolution: STATIC, endpoints: [{address: 192.0.2.1, labels: {v: a}}]}',
  );
  expect(codes(mesh, entry, subsetOfEntry('a'))).toEqual([]);
  expect(codes(mesh, entry, subsetOfEntry('b'))).toEqual(['subset-selects-nothing']);
});

const tlsCodes = (mode: string, ...more: string[]): string[] =>
  codes(mesh, rule(`{host: web, trafficPolicy: {tls: {mode: ${mode}}}}`), ...more);

test('TLS that is not of the mesh, to who takes no other', () => {
  const strict = resource('PeerAuthentication', '{mtls: {mode: STRICT}}');
  expect(tlsCodes('DISABLE')).toEqual([]);
  expect(tlsCodes('DISABLE', strict)).toEqual(['tls-against-strict']);
  expect(tlsCodes('SIMPLE', strict)).toEqual(['tls-against-strict']);
  expect(tlsCodes('ISTIO_MUTUAL', strict)).toEqual([]);
});

const messagesOf = (policy: string, more = ''): string[] =>
  lint(mesh, rule(`{host: web, ${more} trafficPolicy: ${policy}}`)).map((one) => one.message);

const tunnel = (protocol: string): string =>
  `{tunnel: {protocol: ${protocol}, targetHost: db.example.com, targetPort: 5432}}`;

test('what no sidecar can do', () => {
  const tls = '{tls: {mode: SIMPLE, credentialName: c}}';
  expect(messagesOf(tls)).toEqual(['without a workloadSelector sidecars ignore credentialName']);
  expect(messagesOf(tls, 'workloadSelector: {matchLabels: {app: web}},')).toEqual([
    'sidecars cannot read Secrets: no call can be made',
  ]);
  expect(messagesOf('{loadBalancer: {zoneAwareLbSetting: {}}}')).toEqual([]);
  expect(messagesOf(tunnel('POST'))).toEqual([]);
  expect(messagesOf(tunnel('CONNECT'))).toEqual([]);
  expect(
    messagesOf('{connectionPool: {http: {http2KeepAlive: {interval: 10s, timeout: 2s}}}}'),
  ).toEqual([]);
});

const entryOf = (host: string): string =>
  networking('ServiceEntry', `{hosts: [${host}], ports: [{number: 1, name: x, protocol: TLS}]}`);

test('an entry for the name of a Service', () => {
  expect(codes(mesh, entryOf('web.bar.svc.cluster.local'))).toEqual(['service-entry-host-taken']);
  expect(codes(mesh, entryOf('web.bar'))).toEqual(['service-entry-host-taken']);
  expect(codes(mesh, entryOf('web.example'))).toEqual([]);
});

const sidecar = (hosts: string, name?: string, more = ''): string =>
  networking('Sidecar', `{${more} egress: [{hosts: [${hosts}]}]}`, name);

test('Sidecars: hosts that do not exist, and two for all of a namespace', () => {
  expect(codes(mesh, sidecar('"./*", foo/*, istio-system/*'))).toEqual([]);
  expect(codes(mesh, sidecar(`foo/${srv}`))).toEqual([]);
  expect(codes(mesh, sidecar('"~/*"'))).toEqual([]);
  expect(codes(mesh, sidecar(`bar/${srv}`))).toEqual(['sidecar-host-unknown']);
  expect(codes(mesh, sidecar('nowhere/*'))).toEqual(['sidecar-host-unknown']);
  const [problem] = lint(mesh, sidecar('foo/srv.foo'));
  expect(problem?.mend).toBe(`did you mean ${srv}?`);
  expect(codes(mesh, sidecar('"./*"', 'a'), sidecar('foo/*', 'b'))).toEqual(['sidecar-repeated']);
  const selecting = 'workloadSelector: {labels: {app: web}},';
  expect(codes(mesh, sidecar('"./*"', 'a'), sidecar('foo/*', 'b', selecting))).toEqual([]);
});

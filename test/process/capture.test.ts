import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Service } from '#api/snapshot.ts';
import type { PortProtocol } from '#api/workload.ts';
import {
  Rig,
  serviceOf,
  snapshotOf,
  spiffe,
  strict,
  type SidecarOptions,
} from '#test/sidecar/rig.ts';

import { makeNamespaces, namespacesMissing, type Namespace } from './namespaces.ts';
import { proxyId, SidecarProcess } from './sidecar-process.ts';

const missing = await namespacesMissing();
if (missing !== '') process.stderr.write(`transparent capture is not tested: ${missing}\n`);

const vip = '10.96.0.7';
const vip6 = 'fd96::7';
const greetingVip = '10.96.0.8';

interface World {
  readonly rig: Rig;
  readonly web: Namespace;
  readonly payments: Namespace;
  readonly outside: Namespace;
  readonly sidecars: SidecarProcess[];
}

async function sidecarIn(
  rig: Rig,
  pod: Namespace,
  options: SidecarOptions,
  env: Record<string, string> = {},
): Promise<SidecarProcess> {
  const snapshot = snapshotOf(options);
  const { namespace, serviceAccount } = snapshot.workload;
  const { certPem, keyPem } = await rig.issued(spiffe(namespace, serviceAccount));
  const files = { snapshot, certPem, keyPem, trustBundlePem: rig.ca.certPem };
  const probes = {
    '/app-health/payments/readyz': { httpGet: { port: 8080, path: '/' } },
    '/app-health/payments/livez': { httpGet: { port: 8080, path: '/teapot' } },
    '/app-health/payments/startupz': { tcpSocket: { port: 9999 } },
  };
  return SidecarProcess.start(
    files,
    0,
    {
      SELVAGE_INBOUND: '',
      SELVAGE_OUTBOUND: '',
      SELVAGE_CAPTURE: 'transparent',
      SELVAGE_POD_IP: pod.ip,
      SELVAGE_METRICS: ':15020',
      SELVAGE_HEALTH: ':15021',
      SELVAGE_PROMETHEUS: ':15090',
      SELVAGE_APP_PROBES: JSON.stringify(probes),
      SELVAGE_ADMIN: '127.0.0.1:15000',
      ...env,
    },
    pod.prefix(proxyId),
  );
}

/** At a cluster address, with a pod behind it. */
function at(name: string, address: string, pod: Namespace, port: number, protocol: PortProtocol) {
  const identity = spiffe('shop', 'payments');
  const service = serviceOf(name, [{ address: pod.ip, port, identity }], protocol);
  return { ...service, addresses: [address] };
}

function servicesOf(payments: Namespace): Service[] {
  return [
    { ...at('payments', vip, payments, 8080, 'http'), addresses: [vip, vip6] },
    at('mysql', greetingVip, payments, 3306, 'tcp'),
    { ...at('replicas', '', payments, 8080, 'http'), addresses: [] },
  ];
}

async function makeWorld(kind: 'nft' | 'legacy', workers: number): Promise<World> {
  const rig = await Rig.create();
  const { outside, pods } = await makeNamespaces(['web', 'pay']);
  const [web, payments] = pods;
  if (web === undefined || payments === undefined) throw new Error('no pods');
  for (const pod of pods) await pod.captureInit({ SELVAGE_INIT_IPTABLES: kind });
  const env = { SELVAGE_CONCURRENCY: String(workers) };
  const services = servicesOf(payments);
  const sidecars = [
    await sidecarIn(rig, web, { account: 'web', services }, env),
    await sidecarIn(rig, payments, { policies: strict, services }, env),
  ];
  await payments.tell({ kind: 'http', host: '::', port: 8080 });
  await payments.tell({ kind: 'http', host: payments.ip, port: 8071 });
  await payments.tell({ kind: 'greeting', host: payments.ip, port: 3306 });
  await payments.tell({ kind: 'http', host: '127.0.0.1', port: 8081 });
  await payments.tell({ kind: 'udp', host: '0.0.0.0', port: 5353 });
  await outside.tell({ kind: 'http', host: '::', port: 8080 });
  await outside.tell({ kind: 'greeting', host: '::', port: 2525 });
  return { rig, web, payments, outside, sidecars };
}

/** What the application saw of a call. */
function body(text: string): { remoteAddress: string; headers: Record<string, string> } {
  return JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)) as never;
}

async function ask({ outside, payments }: World, port: number, path: string): Promise<string> {
  return (await outside.get(payments.ip, port, path)).text;
}

const variants = [
  ['nft', 1],
  ['legacy', 2],
] as const;

describe.skipIf(missing !== '').each(variants)('with %s and %i workers', (kind, workers) => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld(kind, workers);
  }, 60_000);
  afterAll(async () => {
    for (const sidecar of world.sidecars) await sidecar.close();
    for (const one of [world.web, world.payments, world.outside]) await one.close();
    await world.rig.close();
  });

  test('a call to a Service arrives with the identity of its caller', async () => {
    const { text } = await world.web.get(vip, 80);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(body(text).headers['x-forwarded-client-cert']).toContain('sa/web');
    expect(body(text).remoteAddress).toContain('127.0.0.6');
  });

  test('by IPv6 too', async () => {
    const { text } = await world.web.get(vip6, 80);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('a pod of a headless Service is reached by its address, as in a StatefulSet', async () => {
    const name = 'payments-0.replicas.shop.svc.cluster.local:8080';
    const { text } = await world.web.get(world.payments.ip, 8080, '/', name);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(body(text).headers['x-forwarded-client-cert']).toContain('sa/web');
  });

  test('the address of a pod that no headless Service has is called in the clear', async () => {
    await world.web.tell({ kind: 'http', host: '::', port: 8091 });
    const { text } = await world.payments.get(world.web.ip, 8091);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(body(text).headers['x-forwarded-client-cert']).toBeUndefined();
    expect((await world.web.get(world.payments.ip, 8071)).text).toMatch(/^HTTP\/1\.1 503 /);
  });

  test('a server that speaks first is heard', async () => {
    const { text } = await world.web.call(greetingVip, 80, '');
    expect(text).toBe('hello 127.0.0.6\n');
  });

  test('STRICT refuses plaintext, by IPv4 and by IPv6', async () => {
    const { ip, ip6 } = world.payments;
    expect(await world.outside.get(ip, 8080)).toEqual({ text: '', how: 'reset' });
    expect(await world.outside.get(ip6, 8080)).toEqual({ text: '', how: 'reset' });
  });

  test('plaintext by IPv6 reaches an application that takes it', async () => {
    await world.web.tell({ kind: 'http', host: '::', port: 8090 });
    const { text } = await world.outside.get(world.web.ip6, 8090);
    expect(body(text).remoteAddress).toBe('::6');
    const four = await world.outside.get(world.web.ip, 8090);
    expect(body(four.text).remoteAddress).toContain('127.0.0.6');
  });

  test('a pod reaches itself by its address, without its sidecar', async () => {
    const { text } = await world.payments.get(world.payments.ip, 8080);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(body(text).headers['x-forwarded-client-cert']).toBeUndefined();
  });

  test('a pod reaches itself by its own Service, as everybody else', async () => {
    const { text } = await world.payments.get(vip, 80);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(body(text).headers['x-forwarded-client-cert']).toContain('sa/payments');
  });

  test('hosts outside the mesh are reached by HTTP and by what speaks first', async () => {
    const { text } = await world.web.get(world.outside.ip, 8080, '/', 'example.com');
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(body(text).remoteAddress).toContain(world.web.ip);
    const greeting = await world.web.call(world.outside.ip, 2525, '');
    expect(greeting.text).toContain('hello');
    const six = await world.web.get(world.outside.ip6, 8080, '/', 'example.com');
    expect(body(six.text).remoteAddress).toBe(world.web.ip6);
  });

  test('a port where nobody listens gives 503 or a reset, not silence', async () => {
    const { text } = await world.web.get(world.outside.ip, 8123, '/', 'example.com');
    expect(text).toMatch(/^HTTP\/1\.1 503 /);
    expect((await world.web.get(world.payments.ip, 8123)).how).not.toBe('timeout');
  });

  test('what listens on loopback alone is not reached from outside, as in Istio', async () => {
    const { text } = await world.web.get(world.payments.ip, 8081);
    expect(text).not.toMatch(/^HTTP\/1\.1 200 /);
    expect((await world.payments.get('127.0.0.1', 8081)).text).toMatch(/^HTTP\/1\.1 200 /);
  });

  test.each([15_001, 15_006])('port %i leads nowhere when it is called itself', async (port) => {
    for (const host of ['127.0.0.1', world.web.ip, '::1', world.web.ip6]) {
      expect(await world.web.get(host, port)).toMatchObject({ text: '' });
    }
    expect(await world.outside.get(world.web.ip, port)).toEqual({ text: '', how: 'reset' });
    expect(await world.outside.get(world.web.ip6, port)).toEqual({ text: '', how: 'reset' });
  });

  test('the admin port is not to be had from outside', async () => {
    expect((await world.outside.get(world.web.ip, 15_000)).text).toBe('');
    expect((await world.web.get('127.0.0.1', 15_000, '/ready', 'localhost')).text).toContain('200');
  });

  test('UDP is left alone', async () => {
    const order = { kind: 'call-udp', host: world.payments.ip, port: 5353, send: 'hi' } as const;
    expect((await world.web.tell(order)).text).toBe(`${world.web.ip} said hi`);
  });

  test('the kubelet is answered in the clear: health, metrics, probes of the application', async () => {
    expect(await ask(world, 15_021, '/healthz/ready')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await ask(world, 15_020, '/healthz/ready')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await ask(world, 15_090, '/stats/prometheus')).toContain('istio_requests_total');
    expect(await ask(world, 15_020, '/app-health/payments/readyz')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await ask(world, 15_020, '/app-health/payments/livez')).toMatch(/^HTTP\/1\.1 418 /);
    expect(await ask(world, 15_020, '/app-health/payments/startupz')).toMatch(/^HTTP\/1\.1 500 /);
    expect(await ask(world, 15_020, '/app-health/other/readyz')).toMatch(/^HTTP\/1\.1 404 /);
  });

  test('rules are set once however often, follow their settings, and go without a trace', async () => {
    const pod = world.web;
    const env = { SELVAGE_INIT_IPTABLES: 'auto' };
    const saves = [`iptables-${kind}-save`, `ip6tables-${kind}-save`];
    const saved = async (): Promise<string> => {
      const texts = await Promise.all(saves.map((save) => pod.run(save, ['-t', 'nat'])));
      return texts.join('').replaceAll(/^#.*|\[\d+:\d+\]/gm, '');
    };
    const before = await saved();
    expect(await pod.captureInit(env)).not.toContain('"changed":true');
    expect(await saved()).toBe(before);
    const excluding = {
      ...env,
      SELVAGE_INIT_EXCLUDE_OUTBOUND_PORTS: '25,26',
      SELVAGE_INIT_EXCLUDE_OUTBOUND_CIDRS: '10.1.2.3/8,fd00:1::1/32,1.2.3.4',
      SELVAGE_INIT_INCLUDE_INBOUND_PORTS: '8080',
      SELVAGE_INIT_EXCLUDE_INBOUND_PORTS: '22',
      SELVAGE_INIT_INCLUDE_OUTBOUND_CIDRS: '10.0.0.0/8,::/0',
      SELVAGE_INIT_INCLUDE_OUTBOUND_PORTS: '443',
    };
    expect(await pod.captureInit(excluding)).toContain('"changed":true');
    expect(await saved()).toContain('-A SELVAGE_OUTPUT -d 10.0.0.0/8 -j RETURN');
    expect(await pod.captureInit(excluding)).not.toContain('"changed":true');
    await pod.run(`iptables-${kind}`, ['-t', 'nat', '-A', 'OUTPUT', '-p', 'udp', '-j', 'RETURN']);
    await pod.captureInit(env, ['--remove']);
    const after = await saved();
    expect(after).not.toContain('SELVAGE');
    expect(after).toContain('-A OUTPUT -p udp -j RETURN');
    await pod.captureInit(env, ['--remove']);
    expect(await pod.captureInit(env)).toContain('"changed":true');
  });

  test('SIGTERM: new calls are still served for the least time of a drain, then refused', async () => {
    const { rig, web, sidecars } = world;
    await sidecars[0]?.end();
    const sidecar = await sidecarIn(
      rig,
      web,
      { account: 'web', services: servicesOf(world.payments) },
      { SELVAGE_MIN_DRAIN_MS: '1500', SELVAGE_CONCURRENCY: String(workers) },
    );
    const ending = sidecar.end();
    await sidecar.line('stopping');
    await sleep(300);
    const { outside } = world;
    expect((await outside.get(web.ip, 15_021, '/healthz/ready')).text).toMatch(/^HTTP\/1\.1 503 /);
    const inbound = await outside.get(web.ip, 8090);
    expect(inbound.text).toMatch(/^HTTP\/1\.1 200 /);
    const outbound = await web.get(vip, 80);
    expect(outbound.text).toMatch(/^HTTP\/1\.1 200 /);
    expect(await ending).toBe(0);
    expect((await outside.get(web.ip, 8090)).how).toBe('refused');
    await sidecar.close();
  });
});

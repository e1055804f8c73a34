import { afterAll, beforeAll, expect, test } from 'vitest';

import { edges } from '#cli/edges.ts';
import { explain } from '#cli/explain.ts';
import { tap } from '#cli/tap.ts';
import { top } from '#cli/top.ts';
import { why } from '#cli/why.ts';
import { testIo } from '#test/cli/output.ts';

import { caller, service } from './apps.ts';
import { describeInCluster, kubectl, Place, until } from './cluster.ts';

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

type Command = (args: string[], io: ReturnType<typeof testIo>) => Promise<number>;

/** Against the cluster of KUBECONFIG: without an environment no mesh of this machine is looked for. */
async function run(command: Command, ...args: string[]): Promise<Ran> {
  const io = testIo();
  const status = await command(args, io);
  return { status, out: io.out(), err: io.err() };
}

describeInCluster('sidecars that are asked', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('asked');
    await place.apply(
      ...service({ name: 'payments', replicas: 2 }),
      ...caller({ name: 'billing' }),
      ...caller({ name: 'web' }),
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'admit-billing' },
        spec: {
          selector: { matchLabels: { app: 'payments' } },
          rules: [
            {
              from: [
                { source: { principals: [`cluster.local/ns/${place.namespace}/sa/billing`] } },
              ],
            },
          ],
        },
      },
    );
    await place.ready(...['payments', 'billing', 'web'].map((name) => `deployment/${name}`));
    await place.enforced('authorizationpolicy/admit-billing');
  });
  afterAll(() => place.remove());

  /** The id of a call that is refused. */
  async function refused(): Promise<string> {
    const script = `fetch('http://payments/charges', { method: 'POST' })
      .then((reply) => console.log(reply.status + ' ' + reply.headers.get('x-selvage-id')))`;
    const [status, id = ''] = (await place.exec('deployment/web', 'node', '-e', script)).split(' ');
    expect(status).toBe('403');
    return id.trim();
  }

  /** Calls while a command watches. */
  async function during<T>(watching: Promise<T>): Promise<T> {
    const state = { over: false };
    const end = (): void => void (state.over = true);
    watching.then(end, end);
    while (!state.over) {
      await place.call('deployment/billing', 'http://payments/charges');
      await refused();
    }
    return watching;
  }

  test('why finds the call in whichever pod it was refused', async () => {
    const { status, out, err } = await run(why, await refused(), '-n', place.namespace);
    expect([status, err]).toEqual([0, expect.stringMatching(/^asking the cluster at https:.*\n$/)]);
    const [web, payments] = [`${place.namespace}/web`, `${place.namespace}/payments`];
    expect(out).toMatch(`✗ DENIED 403  POST /charges from ${web} to ${payments}:8080\n`);
    expect(out).toMatch(`nearest: ${place.namespace}/admit-billing rule 0`);
    expect(out).toMatch(`got     cluster.local/ns/${place.namespace}/sa/web\n`);
  });

  test('why without an id lists the newest of the namespace', async () => {
    const id = await refused();
    const { out } = await run(why, '-n', place.namespace, '--limit', '5');
    expect(out).toMatch(id);
  });

  test('tap shows calls of all pods, and leaves no program behind in them', async () => {
    const workload = `${place.namespace}/payments`;
    const { status, out } = await during(run(tap, workload, '--limit', '6', '--output', 'json'));
    expect(status).toBe(0);
    const pods = out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { pod: string }).pod);
    expect(pods).toHaveLength(6);
    const script = `
      const fs = require('node:fs');
      const isTap = (id) => {
        if (id === process.pid) return false;
        try { return fs.readFileSync('/proc/' + id + '/cmdline', 'utf8').includes('/tap'); } catch { return false; }
      };
      console.log(fs.readdirSync('/proc').map(Number).filter((id) => id > 0 && isTap(id)).length);`;
    for (const pod of new Set(pods)) {
      const name = pod.split('/')[1] ?? '';
      const args = ['exec', name, '-n', place.namespace, '-c', 'selvage-proxy', '--'];
      const left = () => kubectl(...args, 'node', '-e', script);
      await until(`no tap is left in ${pod}`, left, (count) => count === '0', 45_000);
    }
  });

  test('tap goes on with the pods of a rollout', async () => {
    const stop = new AbortController();
    const io = testIo();
    const workload = `${place.namespace}/payments`;
    const tapping = tap([workload, '--output', 'json'], io, undefined, () => stop.signal);
    const podsSeen = async (): Promise<ReadonlySet<string>> => {
      await place.call('deployment/billing', 'http://payments/charges');
      const found = io.out().matchAll(/"pod":"([^"]+)"/g);
      return new Set([...found].map(([, pod = '']) => pod));
    };
    const before = await until('both pods are seen', podsSeen, ({ size }) => size === 2);
    await place.kubectl('rollout', 'restart', 'deployment/payments');
    await place.ready('deployment/payments');
    await until('new pods are seen', podsSeen, (pods) => pods.difference(before).size === 2);
    stop.abort();
    expect([await tapping, io.err()]).toEqual([0, expect.not.stringMatching('does not answer')]);
  });

  test('top and edges count what is called meanwhile', async () => {
    const counted = await during(run(top, place.namespace, '--once', '--seconds', '4'));
    expect(counted.status).toBe(0);
    expect(counted.out).toMatch(/\/billing +\S+\/payments +GET +\/charges +\d+ .* 100\.00% +0$/m);
    const seen = await during(run(edges, '-n', place.namespace, '--seconds', '4'));
    expect(seen.status).toBe(0);
    expect(seen.out).toMatch(
      /\/billing +\S+\/payments +.* http .* mutual TLS, \S+\/billing -> \S+\/payments$/m,
    );
  });

  test('explain --live asks each replica', async () => {
    const { namespace } = place;
    const call = ['--live', '--from', `${namespace}/web`, '--to', `${namespace}/payments`];
    const { status, out } = await run(explain, ...call, '--method', 'POST', '--path', '/charges');
    expect(status).toBe(1);
    expect(out).toMatch(/^✗ DENIED 403/m);
    expect(out).toMatch(
      /enforced by \S+\/payments-\S+ \(snapshot \d+\), \S+\/payments-\S+ \(snapshot/,
    );
  });
});

// Smuggling through HTTP/2: front and back agree on every request, and nothing that was injected arrives.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Rig, serviceOf, spiffe, strict } from '#test/sidecar/rig.ts';

import { attacks } from './smuggling-corpus.ts';
import { faultsOf, http1Application, http2Application, launch } from './smuggling-rig.ts';
import type { Setup } from './smuggling-rig.ts';

let rig: Rig;
const setups: Setup[] = [];

beforeAll(async () => {
  rig = await Rig.create();
  const identity = spiffe('shop', 'payments');
  for (const protocol of ['http', 'http2'] as const) {
    const application = await (protocol === 'http' ? http1Application : http2Application)(rig);
    const { port } = application;
    const one = await rig.sidecar({ application: port, protocol });
    setups.push({ name: `one sidecar, ${protocol}`, port: one.inboundPort, application });
    const server = await rig.sidecar({ application: port, protocol, policies: strict });
    const services = [serviceOf('payments', [{ port: server.inboundPort, identity }], protocol)];
    const client = await rig.sidecar({ account: 'web', services });
    setups.push({ name: `two sidecars, ${protocol}`, port: client.outboundPort, application });
    const direct = [serviceOf('payments', [{ port }], protocol)];
    const caller = await rig.sidecar({ account: 'web', services: direct });
    setups.push({ name: `outbound alone, ${protocol}`, port: caller.outboundPort, application });
  }
});
afterAll(() => rig.close());

test.each(attacks)('$name ($verdict)', async (attack) => {
  for (const setup of setups) {
    expect(faultsOf(attack, setup, await launch(attack, setup))).toEqual([]);
  }
});

test.each(attacks.filter(({ name }) => /H2\.CL|H2\.TE|trailer|second/.test(name)))(
  '$name ($verdict), in small pieces',
  async (attack) => {
    for (const setup of setups) {
      expect(faultsOf(attack, setup, await launch(attack, setup, true))).toEqual([]);
    }
  },
);

test('a body without a length that is whole before its connection is there is not the next request', async () => {
  const attack = attacks.find(({ name }) => name === 'H2.CL: no length at all')!;
  const identity = spiffe('shop', 'payments');
  // What is called by HTTP/2 first, and turns out to speak HTTP/1.1 alone: requests wait for that.
  const application = await http1Application(rig, await rig.issued(identity));
  for (let i = 0; i < 3; i += 1) {
    const services = [serviceOf('payments', [{ port: application.port, identity }])];
    const { outboundPort } = await rig.sidecar({ account: 'web', services });
    const setup = { name: 'HTTP/1.1 found out', port: outboundPort, application };
    const aftermath = await launch(attack, setup);
    expect(faultsOf(attack, setup, aftermath)).toEqual([]);
    expect(aftermath.seen).toHaveLength(1);
  }
});

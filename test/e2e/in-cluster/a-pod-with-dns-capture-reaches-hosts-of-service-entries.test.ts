// Two hosts that nobody's DNS knows, on one port, of bytes that say nothing of where they go: each gets an address of its own.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { caller, service } from './apps.ts';
import { describeInCluster, Place, until } from './cluster.ts';

/** 9000 says by itself who was reached. */
const greeter = `
require('node:net').createServer((socket) => socket.end('welcome to ' + process.env.HOSTNAME.split('-')[0])).listen(9000);
require('node:http').createServer((_, response) => response.end()).listen(8080);
process.on('SIGTERM', () => process.exit(0));
`;

describeInCluster('a pod with selvage.dev/dns-capture', () => {
  let place: Place;

  beforeAll(async () => {
    place = await Place.create('names');
    await place.apply(
      ...service({ name: 'orders', script: greeter, inject: false }),
      ...service({ name: 'stock', script: greeter, inject: false }),
      ...caller({ name: 'web', annotations: { 'selvage.dev/dns-capture': 'true' } }),
      ...caller({ name: 'plain' }),
    );
    await place.ready(...['orders', 'stock', 'web', 'plain'].map((name) => `deployment/${name}`));
    await place.apply(await entryOf('orders'), await entryOf('stock'));
  });
  afterAll(() => place.remove());

  /** `orders.outside.example`, at the pod of that name. */
  async function entryOf(name: string): Promise<object> {
    const pod = await place.podOf(name);
    const address = await place.kubectl('get', 'pod', pod, '-o', 'jsonpath={.status.podIP}');
    return {
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name },
      spec: {
        hosts: [`${name}.outside.example`],
        ports: [{ number: 9000, name: 'tcp-greeting', protocol: 'TCP' }],
        resolution: 'STATIC',
        location: 'MESH_EXTERNAL',
        endpoints: [{ address }],
      },
    };
  }

  const inPod = (pod: string, script: string): Promise<string> =>
    place.exec(`deployment/${pod}`, 'node', '-e', script);

  const look = (pod: string, host: string): Promise<string> =>
    inPod(
      pod,
      `require('node:dns').lookup('${host}', { family: 4 }, (error, address) => console.log(error?.code ?? address))`,
    );

  test('gets an automatic address for each host, and reaches each', async () => {
    const addresses = [];
    for (const name of ['orders', 'stock']) {
      const host = `${name}.outside.example`;
      addresses.push(
        await until(
          host,
          () => look('web', host),
          (said) => said.startsWith('240.240.'),
        ),
      );
      const hear = `require('node:net').connect(9000, '${host}').on('error', (error) => console.log(error.code)).pipe(process.stdout)`;
      expect(await inPod('web', hear)).toBe(`welcome to ${name}`);
    }
    expect(new Set(addresses).size).toBe(2);
  });

  test('still gets the answers of the cluster and of nobody, as a pod without it', async () => {
    const inside = `${place.namespace}.svc.cluster.local`;
    for (const host of ['orders', `orders.${inside}`, `nowhere.${inside}`, 'nowhere.invalid']) {
      expect(await look('web', host)).toBe(await look('plain', host));
    }
    expect(await look('web', 'orders')).toMatch(/^[\d.]+$/);
    expect(await look('plain', 'orders.outside.example')).not.toMatch(/^[\d.]+$/);
  });
});

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type AppOptions, service } from './apps.ts';
import { describeInCluster, Place, until } from './cluster.ts';

/** HTTP at 8080 says who was asked and with which certificate; 9090, of no Service, speaks first; 5353 echoes UDP. */
const all = `
const name = process.env.HOSTNAME;
require('node:http').createServer((request, response) => {
  const xfcc = request.headers['x-forwarded-client-cert'] ?? null;
  response.end(JSON.stringify({ pod: name, host: request.headers.host, xfcc }));
}).listen(8080);
require('node:net').createServer((socket) => socket.end('welcome to ' + name)).listen(9090);
const udp = require('node:dgram').createSocket('udp4');
udp.on('message', (text, from) => udp.send(name + ' heard ' + text, from.port, from.address)).bind(5353);
process.on('SIGTERM', () => process.exit(0));
`;

interface Reply {
  readonly status: number;
  readonly pod: string;
  readonly host: string;
  readonly xfcc: string | null;
}

interface Peer {
  readonly name: string;
  readonly address: string;
}

function app(options: AppOptions): object[] {
  return service({ ...options, script: all });
}

/** Another Service of web's pods. */
function serviceOf(name: string, spec: object): object {
  const selector = { app: 'web' };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector, ...spec } };
}

describeInCluster('a pod whose connections are captured', () => {
  let place: Place;
  let own: Peer;
  let other: Peer;
  let outsider: Peer;

  beforeAll(async () => {
    place = await Place.create('reach');
    await place.apply(
      ...app({ name: 'web', replicas: 2 }),
      ...app({ name: 'outsider', inject: false }),
      serviceOf('headless', { clusterIP: 'None', ports: [{ name: 'http', port: 8080 }] }),
      serviceOf('udp', { ports: [{ name: 'echo', protocol: 'UDP', port: 53, targetPort: 5353 }] }),
    );
    await place.ready('deployment/web', 'deployment/outsider');
    [own, other] = (await peers('web')) as [Peer, Peer];
    [outsider] = (await peers('outsider')) as [Peer];
    for (const url of ['http://web/', 'http://outsider/', `http://headless:8080/`]) {
      await until(
        url,
        () => get(url),
        ({ status }) => status === 200,
      );
    }
  });
  afterAll(() => place.remove());

  async function peers(app: string): Promise<Peer[]> {
    const path = 'jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{"\\n"}{end}';
    const lines = await place.kubectl('get', 'pods', '-l', `app=${app}`, '-o', path);
    return lines.split('\n').map((line) => {
      const [name = '', address = ''] = line.split(' ');
      return { name, address };
    });
  }

  /** What a script in one of the pods of web prints. */
  function inPod(script: string): Promise<string> {
    return place.exec(own.name, 'node', '-e', script);
  }

  async function get(url: string, host = ''): Promise<Reply> {
    const headers = host === '' ? {} : { host };
    const text = await inPod(`
      require('node:http').get(${JSON.stringify(url)}, { headers: ${JSON.stringify(headers)} }, async (reply) => {
        const body = (await reply.toArray()).join('');
        console.log(JSON.stringify({ status: reply.statusCode, ...(body.startsWith('{') ? JSON.parse(body) : {}) }));
      }).on('error', (error) => console.log(JSON.stringify({ status: 0, error: String(error) })));`);
    return JSON.parse(text) as Reply;
  }

  const hear = (address: string): Promise<string> =>
    inPod(`require('node:net').connect(9090, '${address}').pipe(process.stdout)`);

  test('reaches itself by its address and by localhost, past its sidecar', async () => {
    for (const host of [own.address, 'localhost']) {
      expect(await get(`http://${host}:8080/`)).toMatchObject({ pod: own.name, xfcc: null });
    }
  });

  test('reaches itself and its replica by their Service, with its identity', async () => {
    const seen = new Set<string>();
    for (let call = 0; call < 40 && seen.size < 2; call += 1) {
      const reply = await get('http://web/');
      expect(reply.status).toBe(200);
      expect(reply.xfcc).toContain(`URI=spiffe://cluster.local/ns/${place.namespace}/sa/web`);
      seen.add(reply.pod);
    }
    expect(seen).toEqual(new Set([own.name, other.name]));
  });

  test('reaches a pod of a headless Service by its address, with its identity', async () => {
    const reply = await get(`http://${other.address}:8080/`);
    expect(reply).toMatchObject({ status: 200, pod: other.name });
    expect(reply.xfcc).toContain('/sa/web');
  });

  test('reaches the pods of a headless Service by its name', async () => {
    const reply = await get('http://headless:8080/');
    expect(reply.status).toBe(200);
    expect([own.name, other.name]).toContain(reply.pod);
  });

  test('reaches what is outside the mesh, by its Service, by its address, whatever the host is said to be', async () => {
    const seen = { pod: outsider.name, xfcc: null };
    expect(await get('http://outsider/')).toMatchObject(seen);
    expect(await get(`http://${outsider.address}:8080/`)).toMatchObject(seen);
    const reply = await get(`http://${outsider.address}:8080/`, 'api.example.com');
    expect(reply).toMatchObject({ ...seen, host: 'api.example.com' });
  });

  test('reaches the API server, whose TLS is its own', async () => {
    const status = await inPod(`
      const url = 'https://kubernetes.default.svc/version';
      require('node:https').get(url, { rejectUnauthorized: false }, (reply) => {
        console.log(reply.statusCode);
        reply.resume();
      });`);
    expect(['200', '401', '403']).toContain(status);
  });

  test('hears a server that speaks first on a port of no Service, in the mesh and outside', async () => {
    expect(await hear(other.address)).toBe(`welcome to ${other.name}`);
    expect(await hear(outsider.address)).toBe(`welcome to ${outsider.name}`);
  });

  test('speaks UDP as ever: to the DNS, to a pod, to a Service', async () => {
    const ask = (host: string, port: number): Promise<string> =>
      inPod(`
        const socket = require('node:dgram').createSocket('udp4');
        socket.on('message', (text) => { console.log(String(text)); socket.close(); });
        const send = () => socket.send('it', ${port}, '${host}');
        const again = setInterval(send, 500);
        socket.on('close', () => clearInterval(again));
        send();`);
    expect(await ask(other.address, 5353)).toBe(`${other.name} heard it`);
    expect(await ask('udp', 53)).toMatch(/^web-\S+ heard it$/);
    const resolve = `require('node:dns').resolve4('headless.${place.namespace}.svc.cluster.local',
      (error, found) => console.log(error ?? found.toSorted().join(' ')))`;
    expect(await inPod(resolve)).toBe([own.address, other.address].toSorted().join(' '));
  });
});

import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';

import * as fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';

import type { Snapshot } from '#api/snapshot.ts';
import { parseSidecarMessage, MessageRefused } from '#control/push/messages.ts';
import { LineReader } from '#runtime/lines.ts';

import { issue, makeTestCa } from '../../tls/fixtures.ts';
import { controlIdentity, openWorkplace, until, webSnapshot, type Workplace } from './fixtures.ts';

const open: Workplace[] = [];

async function workplace(...args: Parameters<typeof openWorkplace>): Promise<Workplace> {
  const made = await openWorkplace(...args);
  open.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((made) => made.close()));
});

test('a sidecar gets a whole snapshot, then only what an edit changed', async () => {
  const place = await workplace();
  place.snapshots.set('a/web', webSnapshot(1, ['x', 'y']));
  const applied: Snapshot[] = [];
  const client = await place.client({ apply: (snapshot) => applied.push(snapshot) });
  await client.start();
  place.snapshots.set('a/web', webSnapshot(2, ['x', 'z']));
  place.sessions.publish(Date.now());
  await until(() => client.state().version === 2, 'version 2');
  expect(applied).toEqual([webSnapshot(1, ['x', 'y']), webSnapshot(2, ['x', 'z'])]);
  await until(() => place.events.includes('ack web-0 2 lag'), 'ack of 2');
  expect(place.events).toEqual([
    'connected web-0',
    'push snapshot',
    'ack web-0 1',
    'push delta',
    'ack web-0 2 lag',
  ]);
});

test('a snapshot that the sidecar refuses is recorded with the reason, and the next one arrives whole', async () => {
  const place = await workplace();
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const applied: number[] = [];
  const client = await place.client({
    apply: (snapshot) => {
      if (snapshot.policies.some((p) => p.metadata.name === 'allow-bad')) throw new Error('no way');
      applied.push(snapshot.version);
    },
  });
  await client.start();
  place.snapshots.set('a/web', webSnapshot(2, ['x', 'bad']));
  place.sessions.publish(Date.now());
  // The delta is refused, then the whole, then control waits for another version.
  await until(() => place.events.filter((e) => e.startsWith('nack')).length === 2, 'two nacks');
  expect(place.events).toContain('nack web-0 2 no way');
  expect(place.sessions.states()[0]).toMatchObject({
    acked: 1,
    wanted: 2,
    refused: { version: 2, reason: 'no way' },
  });
  expect(client.state()).toMatchObject({ version: 1, connected: true });
  place.snapshots.set('a/web', webSnapshot(3, ['y']));
  place.sessions.publish(Date.now());
  await until(() => client.state().version === 3, 'version 3');
  expect(applied).toEqual([1, 3]);
  expect(place.events.filter((e) => e === 'push snapshot')).toHaveLength(3);
  await until(() => place.sessions.states()[0]?.refused === null, 'refusal forgotten');
});

test.each([
  ['another namespace', 'spiffe://cluster.local/ns/b/sa/web', 'may not have'],
  ['another account', 'spiffe://cluster.local/ns/a/sa/other', 'runs as'],
  ['another trust domain', 'spiffe://evil.example/ns/a/sa/web', 'names no workload'],
])('a certificate of %s is refused with 403 and the reason', async (_, uri, reason) => {
  const place = await workplace();
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const issued = await issue(place.ca, { uri });
  let applied = 0;
  const client = await place.client({ issued, apply: () => (applied += 1) });
  void client.start();
  await until(() => client.state().lastError !== null, 'refusal');
  expect(client.state().lastError).toMatch(/control answered 403/);
  expect(client.state().lastError).toContain(reason);
  expect(applied).toBe(0);
});

test('a certificate with two URIs is refused: it proves no one identity', async () => {
  const place = await workplace();
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const issued = await issue(place.ca, { dns: ['web.a'] });
  const client = await place.client({ issued });
  void client.start();
  await until(() => client.state().lastError !== null, 'refusal');
  expect(client.state().lastError).toMatch(/403.*names no workload/);
});

test('a certificate of another authority does not get past TLS', async () => {
  const place = await workplace();
  const stranger = await makeTestCa('stranger');
  const issued = await issue(stranger, { uri: 'spiffe://cluster.local/ns/a/sa/web' });
  const client = await place.client({ issued: { ...issued, caPem: place.ca.certPem } });
  void client.start();
  await until(() => client.state().lastError !== null, 'refusal');
  expect(client.state().connected).toBe(false);
  expect(place.events).toEqual([]);
});

test('a peer without a certificate does not get past TLS', async () => {
  const place = await workplace();
  const session = connectHttp2(`https://127.0.0.1:${place.server.port}`, {
    ca: place.ca.certPem,
    checkServerIdentity: () => undefined,
  });
  session.on('error', () => undefined);
  const stream = session.request({ ':method': 'POST', ':path': '/v1/snapshots' });
  stream.on('error', () => undefined);
  await new Promise((resolve) => stream.on('close', resolve));
  expect(place.events).toEqual([]);
});

test('the sidecar refuses a control that cannot prove to be control', async () => {
  const place = await workplace();
  const impostor = await issue(place.ca, { uri: 'spiffe://cluster.local/ns/a/sa/web' });
  place.server.setCredentials({
    key: impostor.keyPem,
    cert: impostor.certPem,
    ca: place.ca.certPem,
  });
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const client = await place.client();
  void client.start();
  await until(() => client.state().lastError !== null, 'refusal');
  expect(client.state().lastError).toContain('control must be');
  expect(place.events).toEqual([]);
});

test('a sidecar that comes before its workload is known waits, and gets the snapshot when it is', async () => {
  const place = await workplace({ limits: { unknownWaitMs: 5000 } });
  const client = await place.client();
  const first = client.start();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(client.state().connected).toBe(false);
  place.snapshots.set('a/web', webSnapshot(7, ['x']));
  place.sessions.publish(Date.now());
  expect((await first).version).toBe(7);
});

test('a workload that no resource describes is answered 404 after the wait', async () => {
  const place = await workplace({ limits: { unknownWaitMs: 50 } });
  const client = await place.client();
  void client.start();
  await until(() => client.state().lastError !== null, 'refusal');
  expect(client.state().lastError).toMatch(/404.*no resource describes the workload a\/web/);
});

test('when a workload changes its account, the old account is cut off and gets no more', async () => {
  const place = await workplace();
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const client = await place.client();
  await client.start();
  const next = webSnapshot(2, ['secret']);
  place.snapshots.set('a/web', { ...next, workload: { ...next.workload, serviceAccount: 'new' } });
  place.sessions.publish(Date.now());
  await until(() => (client.state().lastError ?? '').includes('runs as'), 'refusal');
  expect(client.state().version).toBe(1);
});

test('a rotated certificate serves new connections while open streams go on', async () => {
  const place = await workplace();
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const old = await place.client();
  await old.start();
  const next = await issue(place.ca, { uri: controlIdentity });
  place.server.setCredentials({ key: next.keyPem, cert: next.certPem, ca: place.ca.certPem });
  const fresh = await place.client({ pod: 'web-1' });
  await fresh.start();
  place.snapshots.set('a/web', webSnapshot(2, ['y']));
  place.sessions.publish(Date.now());
  await until(() => old.state().version === 2 && fresh.state().version === 2, 'both at 2');
  expect(place.events).not.toContain('disconnected web-0');
});

test('control dies and comes back: the sidecar keeps its snapshot and gets the newer one', async () => {
  const first = await workplace();
  first.snapshots.set('a/web', webSnapshot(5, ['x']));
  const client = await first.client();
  await client.start();
  await first.server.close();
  await until(() => !client.state().connected, 'disconnected');
  expect(client.state().version).toBe(5);
  // The new process counts from 1 again.
  const second = await workplace({ port: first.server.port, ca: first.ca });
  second.snapshots.set('a/web', webSnapshot(1, ['y']));
  second.sessions.publish(Date.now());
  await until(() => client.state().version === 1 && client.state().connected, 'reconnected');
});

test('a sidecar that answers nothing is disconnected', async () => {
  const place = await workplace({ answerTimeoutMs: 50, limits: { pingEveryMs: 30 } });
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const { session, stream } = await rawStream(place);
  stream.write(hello());
  stream.resume();
  await once(stream, 'end');
  await until(() => place.sessions.count === 0, 'session removed');
  expect(place.events).toEqual(['connected raw', 'push snapshot', 'disconnected raw']);
  session.destroy();
});

test('an old connection is ended in order, and the sidecar connects again', async () => {
  const place = await workplace({ ageMaxMs: 200, limits: { pingEveryMs: 20 } });
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const client = await place.client();
  await client.start();
  const times = (): number => place.events.filter((e) => e === 'connected web-0').length;
  await until(() => times() >= 2, 'second connection');
  expect(client.state().lastError).toBeNull();
});

test('a sidecar that hears nothing gives the connection up and opens another', async () => {
  const place = await workplace();
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const client = await place.client({ limits: { silenceMs: 100 } });
  await client.start();
  await until(() => (client.state().lastError ?? '').includes('not a byte'), 'silence noticed');
  const times = (): number => place.events.filter((e) => e === 'connected web-0').length;
  await until(() => times() >= 2, 'second connection');
  expect(client.state().version).toBe(1);
});

test('pings keep an idle connection open', async () => {
  const place = await workplace({ limits: { pingEveryMs: 20 } });
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const client = await place.client({ limits: { silenceMs: 150 } });
  await client.start();
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(client.state()).toMatchObject({ connected: true, lastError: null });
  expect(place.events.filter((e) => e === 'connected web-0')).toHaveLength(1);
});

test('a slow reader gets the newest state, not the many between', async () => {
  const place = await workplace();
  const padding = 4 * 1024 * 1024;
  place.snapshots.set('a/web', webSnapshot(1, ['x'], padding));
  const { session, stream } = await rawStream(place);
  stream.write(hello());
  stream.pause();
  await until(() => place.sessions.count === 1, 'connected');
  const before = process.memoryUsage().arrayBuffers;
  for (let version = 2; version <= 50; version++) {
    place.snapshots.set('a/web', webSnapshot(version, [`p${version}`], padding));
    place.sessions.publish(Date.now());
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(30 * 1024 * 1024);
  const versions: number[] = [];
  const reader = new LineReader(3 * padding);
  stream.resume();
  stream.on('data', (chunk: Buffer) => {
    for (const line of reader.push(chunk)) {
      const message = JSON.parse(line) as {
        snapshot?: { version: number };
        delta?: { to: number };
      };
      const version = message.snapshot?.version ?? message.delta?.to ?? 0;
      versions.push(version);
      stream.write(`${JSON.stringify({ type: 'ack', version })}\n`);
    }
  });
  await until(() => versions.at(-1) === 50, 'newest');
  expect(versions).toEqual([1, 50]);
  session.destroy();
});

test.each([
  ['no JSON', 'hello\n', 400, 'not JSON'],
  ['an array', '[]\n', 400, 'not a JSON object'],
  ['an ack before the hello', '{"type":"ack","version":1}\n', 400, 'does not belong here'],
  ['a line without end', 'x'.repeat(20_000), 400, 'more than'],
  ['a path for a name', hello({ workload: '../web' }), 400, 'not a Kubernetes name'],
  ['nothing', '', 408, 'no hello'],
])('%s instead of a hello is refused with the reason', async (_, text, status, reason) => {
  const place = await workplace({ limits: { helloTimeoutMs: 100 } });
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const { session, stream } = await rawStream(place);
  const answer = once(stream, 'response') as Promise<[{ ':status': number }]>;
  let body = '';
  stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
  stream.write(text);
  const [headers] = await answer;
  await once(stream, 'close');
  expect(headers[':status']).toBe(status);
  expect(body).toContain(reason);
  session.destroy();
});

test.each([
  ['a second hello', hello()],
  ['an answer to what was never sent', '{"type":"ack","version":99}\n'],
  ['a second answer', '{"type":"ack","version":1}\n{"type":"nack","version":1,"reason":""}\n'],
])('%s ends the stream', async (_, text) => {
  const place = await workplace();
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const { session, stream } = await rawStream(place);
  stream.resume();
  stream.write(hello());
  await until(() => place.sessions.count === 1, 'connected');
  stream.write(text);
  await until(() => place.sessions.count === 0, 'disconnected');
  expect(place.events).toContain('refused message-malformed');
  session.destroy();
});

test('connections over the limit are refused, and those before go on', async () => {
  const place = await workplace({ limits: { connectionsMax: 1 } });
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const first = await place.client();
  await first.start();
  const second = await place.client({ pod: 'web-1' });
  void second.start();
  await until(() => second.state().lastError !== null, 'refused');
  place.snapshots.set('a/web', webSnapshot(2, ['y']));
  place.sessions.publish(Date.now());
  await until(() => first.state().version === 2, 'version 2');
  expect(place.events).not.toContain('connected web-1');
});

test('one identity cannot take all places: another still gets in', async () => {
  const place = await workplace({ limits: { perIdentityMax: 1 } });
  place.snapshots.set('a/web', webSnapshot(1, ['x']));
  const api = webSnapshot(1, ['x']);
  const workload = { ...api.workload, name: 'api', serviceAccount: 'api' };
  place.snapshots.set('a/api', { ...api, workload });
  await (await place.client()).start();
  const second = await place.client({ pod: 'web-1' });
  void second.start();
  await until(() => second.state().lastError !== null, 'refused');
  const issued = await issue(place.ca, { uri: 'spiffe://cluster.local/ns/a/sa/api' });
  const other = await place.client({ issued, workload: 'api', pod: 'api-0' });
  await other.start();
  expect(place.events.filter((e) => e.startsWith('connected'))).toEqual([
    'connected web-0',
    'connected api-0',
  ]);
});

test('a connection that asks for nothing is closed', async () => {
  const place = await workplace({ limits: { idleTimeoutMs: 60 } });
  const session = await rawSession(place);
  await once(session, 'close');
  expect(session.destroyed).toBe(true);
});

test('whatever a line holds, it is a message or refused, never another error', () => {
  const field = fc.oneof(fc.constantFrom('hello', 'ack', 'nack', 'a', 'web'), fc.jsonValue());
  const message = fc.dictionary(
    fc.constantFrom('type', 'namespace', 'workload', 'pod', 'version', 'have', 'reason'),
    field,
  );
  const line = fc.oneof(
    fc.string(),
    fc.json(),
    message.map((m) => JSON.stringify(m)),
  );
  fc.assert(
    fc.property(line, (text) => {
      expect(['hello', 'ack', 'nack', 'refused']).toContain(typeOf(text));
    }),
    { numRuns: 1000, seed: 1 },
  );
});

function typeOf(line: string): string {
  try {
    return parseSidecarMessage(line).type;
  } catch (error) {
    return error instanceof MessageRefused ? 'refused' : `thrown: ${String(error)}`;
  }
}

function hello(over: object = {}): string {
  const message = {
    type: 'hello',
    namespace: 'a',
    workload: 'web',
    pod: 'raw',
    version: 'test',
    have: 0,
  };
  return `${JSON.stringify({ ...message, ...over })}\n`;
}

async function rawSession(place: Workplace): Promise<ClientHttp2Session> {
  const own = await issue(place.ca, { uri: 'spiffe://cluster.local/ns/a/sa/web' });
  const session = connectHttp2(`https://127.0.0.1:${place.server.port}`, {
    key: own.keyPem,
    cert: own.certPem,
    ca: place.ca.certPem,
    checkServerIdentity: () => undefined,
  });
  session.on('error', () => undefined);
  return session;
}

async function rawStream(place: Workplace): Promise<{
  session: ClientHttp2Session;
  stream: ReturnType<ClientHttp2Session['request']>;
}> {
  const session = await rawSession(place);
  const stream = session.request({ ':method': 'POST', ':path': '/v1/snapshots' });
  stream.on('error', () => undefined);
  return { session, stream };
}

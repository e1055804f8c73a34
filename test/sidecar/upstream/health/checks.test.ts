import { createServer } from 'node:http';
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import { connect, type AddressInfo, type Server, type Socket } from 'node:net';

import { afterEach, expect, test, vi } from 'vitest';

import type { ActiveHealthCheck } from '#api/traffic/destination.ts';
import { silentLog } from '#runtime/log.ts';
import { HealthChecks } from '#sidecar/upstream/health/checks.ts';
import { probe, type Probed } from '#sidecar/upstream/health/probe.ts';

const policy: ActiveHealthCheck = {
  source: 'HealthCheck shop/payments',
  kind: 'http',
  path: '/health',
  intervalMs: 1000,
  timeoutMs: 500,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
};
const closers: (() => void)[] = [];

afterEach(() => {
  vi.useRealTimers();
  for (const close of closers.splice(0)) close();
});

interface Fake {
  readonly address: string;
  failing: boolean;
}

function checks(answer: (member: Fake) => string, members: Fake[]) {
  vi.useFakeTimers();
  const told: string[] = [];
  let asked = 0;
  const made = new HealthChecks<Fake>({
    cluster: 'payments',
    policy,
    probe: async (member) => {
      asked += 1;
      return answer(member);
    },
    changed: ({ address, failing }) => void told.push(`${address} ${failing}`),
    log: silentLog,
    random: () => 0.5,
  });
  made.take(members);
  return { made, told, asked: () => asked };
}

test('nobody is asked before the cluster is called', async () => {
  const { made, asked } = checks(() => '', [{ address: 'a', failing: false }]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked()).toBe(0);
  made.start();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked()).toBe(10);
});

test('three failures in a row take a member out, two successes bring it back', async () => {
  const answers = ['', 'x', 'x', '', 'x', 'x', 'x', 'x', '', 'x', '', ''];
  const member = { address: 'a', failing: false };
  const { made, told } = checks(() => answers.shift() ?? '', [member]);
  made.start();
  await vi.advanceTimersByTimeAsync(6000);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(told).toEqual(['a true']);
  await vi.advanceTimersByTimeAsync(4000);
  expect(told).toEqual(['a true']);
  await vi.advanceTimersByTimeAsync(1000);
  expect(told).toEqual(['a true', 'a false']);
});

test('a member that goes away is not asked any more, one that comes is', async () => {
  const seen: string[] = [];
  const [a, b] = [
    { address: 'a', failing: false },
    { address: 'b', failing: false },
  ];
  const { made } = checks(({ address }) => (seen.push(address) > 0 ? '' : 'x'), [a]);
  made.start();
  await vi.advanceTimersByTimeAsync(1500);
  made.take([b]);
  seen.length = 0;
  await vi.advanceTimersByTimeAsync(3000);
  expect(new Set(seen)).toEqual(new Set(['b']));
});

test('without the policy nobody stays out because of it', async () => {
  const member = { address: 'a', failing: false };
  const { made } = checks(() => 'x', [member]);
  made.start();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(member.failing).toBe(true);
  made.close();
  expect(member.failing).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});

const dead = (): Socket => connect(1, '127.0.0.1');

async function probed(server: Pick<Server, 'address' | 'listen' | 'close'>): Promise<Probed> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  closers.push(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const open = (): Socket => connect(port, '127.0.0.1');
  const address = `127.0.0.1:${port}`;
  return { address, openEvent: 'connect', openTcp: open, openHttp: open, openHttp2: open };
}

test('over HTTP the status decides, by default 200 to 299', async () => {
  let status = 204;
  const asked: (string | undefined)[] = [];
  const member = await probed(
    createServer((q, s) => {
      asked.push(`${q.url} ${q.headers.host}`);
      s.writeHead(status).end();
    }),
  );
  expect(await probe(member, { ...policy, host: 'payments' })).toBe('');
  status = 503;
  expect(await probe(member, policy)).toBe('status 503');
  expect(await probe(member, { ...policy, statuses: [[500, 599]] })).toBe('');
  expect(asked[0]).toBe('/health payments');
});

test('one that answers nothing fails after the time, one that refuses at once', async () => {
  const member = await probed(createServer(() => undefined));
  expect(await probe(member, { ...policy, timeoutMs: 50 })).toBe('timeout');
  const gone: Probed = { ...member, openTcp: dead, openHttp: dead, openHttp2: dead };
  for (const kind of ['http', 'tcp', 'grpc'] as const) {
    expect(await probe(gone, { ...policy, kind })).toContain('ECONNREFUSED');
  }
  expect(await probe(member, { ...policy, kind: 'tcp' })).toBe('');
});

test('over gRPC the standard service answers', async () => {
  let serving = 1;
  let grpcStatus = '0';
  let body = Buffer.alloc(0);
  const server = createHttp2();
  server.on('stream', (stream: ServerHttp2Stream) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      body = Buffer.concat(chunks);
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': grpcStatus }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 0x08, serving]));
    });
  });
  const member = await probed(server);
  const check: ActiveHealthCheck = { ...policy, kind: 'grpc', grpcService: 'pay' };
  expect(await probe(member, check)).toBe('');
  expect(body.toString('hex')).toBe('00000000050a03706179');
  serving = 2;
  expect(await probe(member, check)).toBe('not serving');
  grpcStatus = '12';
  expect(await probe(member, check)).toBe('grpc-status 12');
});

// Commands in containers, over WebSockets to a server that speaks as the API server does.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import type { ClusterAccess } from '#runtime/kubernetes/access.ts';
import { ExecChannels, exitStatusOf } from '#runtime/kubernetes/exec-channels.ts';
import { execInPod, execPath, followInPod } from '#runtime/kubernetes/exec.ts';
import { issue, makeTestCa } from '#test/tls/fixtures.ts';

const target = {
  namespace: 'shop',
  pod: 'web-1',
  container: 'app',
  command: ['cat', 'a b', '&c=d'],
};
const success = { status: 'Success', metadata: {} };

let server: Server;
let access: ClusterAccess;
let seen: IncomingMessage[] = [];
/** What the server does with an upgraded connection. */
let behave: (socket: Duplex) => void = () => undefined;
let protocol = 'v5.channel.k8s.io';
let refusal: { status: number; body: object } | null = null;

beforeAll(async () => {
  const ca = await makeTestCa('exec');
  const { keyPem, certPem } = await issue(ca, { ip: ['127.0.0.1'] });
  const client = await issue(ca, { commonName: 'admin' });
  server = createServer({ key: keyPem, cert: certPem, ca: ca.certPem, requestCert: true });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    seen.push(request);
    socket.on('error', () => undefined);
    if (refusal !== null) {
      socket.end(`HTTP/1.1 ${refusal.status} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
    );
    behave(socket);
  });
  server.on('request', (request, response) => {
    seen.push(request);
    const { status, body } = refusal ?? {
      status: 400,
      body: { kind: 'Status', reason: 'BadRequest', message: 'Upgrade request required' },
    };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  access = {
    server: `https://127.0.0.1:${port}/prefix/`,
    caPem: ca.certPem,
    certPem: client.certPem,
    keyPem: client.keyPem,
    token: async () => 'a-token',
    namespace: 'default',
  };
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(() => {
  seen = [];
  protocol = 'v5.channel.k8s.io';
  refusal = null;
});

/** A whole binary message from the server. */
function message(channel: number, content: string): Buffer {
  const payload = Buffer.concat([Buffer.from([channel]), Buffer.from(content)]);
  const head =
    payload.length < 126
      ? Buffer.from([0x82, payload.length])
      : Buffer.from([0x82, 126, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([head, payload]);
}

function ends(socket: Duplex, status: object): void {
  socket.write(message(3, JSON.stringify(status)));
  socket.end(Buffer.from([0x88, 2, 3, 232]));
}

test('outputs and the exit status come back, the command as it was given', async () => {
  behave = (socket) => {
    socket.write(message(1, 'out '));
    socket.write(message(2, 'wrong'));
    socket.write(message(1, 'put'.repeat(100)));
    ends(socket, success);
  };
  expect(await execInPod(access, target)).toEqual({
    stdout: `out ${'put'.repeat(100)}`,
    stderr: 'wrong',
    status: 0,
  });
  const [request] = seen;
  const url = new URL(request?.url ?? '', 'https://x');
  expect(url.pathname).toBe('/prefix/api/v1/namespaces/shop/pods/web-1/exec');
  expect(url.searchParams.getAll('command')).toEqual(['cat', 'a b', '&c=d']);
  expect(Object.fromEntries(url.searchParams)).toMatchObject({ container: 'app', stdout: 'true' });
  expect(request?.headers['authorization']).toBe('Bearer a-token');
  expect(request?.headers['sec-websocket-protocol']).toBe('v5.channel.k8s.io, v4.channel.k8s.io');
});

test('the client certificate is shown', async () => {
  let subject = '';
  behave = (socket) => {
    const { subject: shown } = (socket as TLSSocket).getPeerCertificate();
    subject = shown.CN as string;
    ends(socket, success);
  };
  await execInPod(access, target);
  expect(subject).toBe('admin');
});

test('a server that speaks only v4 is understood', async () => {
  protocol = 'v4.channel.k8s.io';
  behave = (socket) => {
    socket.write(message(1, 'old'));
    ends(socket, success);
  };
  expect(await execInPod(access, target)).toMatchObject({ stdout: 'old', status: 0 });
});

test('an exit status other than 0 is no error', async () => {
  const causes = [{ reason: 'ExitCode', message: '7' }];
  behave = (socket) => {
    ends(socket, { status: 'Failure', reason: 'NonZeroExitCode', details: { causes } });
  };
  expect(await execInPod(access, target)).toMatchObject({ status: 7 });
});

test('a command that cannot be run is an error in the words of the server', async () => {
  behave = (socket) => {
    ends(socket, { status: 'Failure', reason: 'InternalError', message: 'no such file: cat' });
  };
  await expect(execInPod(access, target)).rejects.toThrow('could not be run: no such file: cat');
});

test('more output than the limit, a lost connection and a command without end are errors', async () => {
  behave = (socket) => void socket.write(message(1, 'x'.repeat(200)));
  await expect(execInPod(access, target, { outputBytesMax: 100 })).rejects.toThrow(
    'more than 100 bytes',
  );
  behave = (socket) => {
    socket.write(message(1, 'half'));
    socket.destroy();
  };
  await expect(execInPod(access, target)).rejects.toThrow('ended before the command did');
  behave = () => undefined;
  await expect(execInPod(access, target, { timeoutMs: 50 })).rejects.toThrow(
    'did not end within 50 ms',
  );
});

test('a refusal is told as the server tells it, and nothing runs to find out', async () => {
  const body = { kind: 'Status', reason: 'NotFound', message: 'pods "web-1" not found' };
  refusal = { status: 404, body };
  await expect(execInPod(access, target)).rejects.toMatchObject({
    name: 'KubeError',
    status: 404,
    message: expect.stringContaining('pods "web-1" not found'),
  });
});

test('a server that nobody answers for is told as such', async () => {
  const nobody = { ...access, server: 'https://127.0.0.1:9' };
  await expect(execInPod(nobody, target)).rejects.toThrow('ECONNREFUSED');
});

test('a server that another CA vouches for is not asked', async () => {
  const other = await makeTestCa('other');
  await expect(execInPod({ ...access, caPem: other.certPem }, target)).rejects.toThrow(
    /certificate/,
  );
  expect(seen).toEqual([]);
});

test('names in the path are encoded', () => {
  expect(execPath({ ...target, pod: 'a/../b?c' })).toMatch('/pods/a%2F..%2Fb%3Fc/exec?');
});

/** The payloads of what a client sent: short, masked, binary messages. */
function sentBy(bytes: Buffer): number[][] {
  const payloads: number[][] = [];
  for (let at = 0; at + 6 <= bytes.length;) {
    const length = bytes[at + 1]! & 127;
    const mask = bytes.subarray(at + 2, at + 6);
    const masked = bytes.subarray(at + 6, at + 6 + length);
    if (bytes[at] === 0x82) payloads.push([...masked].map((byte, i) => byte ^ mask[i % 4]!));
    at += 6 + length;
  }
  return payloads;
}

test('what a command writes comes as it is written, until the command ends', async () => {
  const euro = Buffer.from('€');
  behave = (socket) => {
    socket.write(message(1, 'one\n'));
    socket.write(Buffer.from([0x82, 2, 1, euro[0]!]));
    socket.write(Buffer.from([0x82, 3, 1, euro[1]!, euro[2]!]));
    socket.write(message(2, 'wrong'));
    const causes = [{ reason: 'ExitCode', message: '3' }];
    ends(socket, { status: 'Failure', reason: 'NonZeroExitCode', details: { causes } });
  };
  let text = '';
  const { signal } = new AbortController();
  const ended = await followInPod(access, target, (more) => (text += more), signal);
  expect(text).toBe('one\n€');
  expect(ended).toEqual({ stdout: '', stderr: 'wrong', status: 3 });
  const url = new URL(seen[0]?.url ?? '', 'https://x');
  expect(url.searchParams.get('stdin')).toBe('true');
});

test.each([
  ['v5.channel.k8s.io', [[255, 0]]],
  ['v4.channel.k8s.io', []],
])('a command that is followed no longer has its stdin ended (%s)', async (spoken, wanted) => {
  protocol = spoken;
  const sent: Buffer[] = [];
  behave = (socket) => {
    socket.on('data', (chunk: Buffer) => {
      sent.push(chunk);
      if (spoken.startsWith('v5')) ends(socket, success);
    });
    socket.write(message(1, 'x'));
  };
  const enough = new AbortController();
  const ended = await followInPod(access, target, () => enough.abort(), enough.signal);
  expect(ended).toBeNull();
  expect(sentBy(Buffer.concat(sent))).toEqual(wanted);
});

function throws(): void {
  throw new Error('too long a line');
}

test('what its reader throws, and a refusal, end what is followed', async () => {
  behave = (socket) => void socket.write(message(1, 'x'));
  const { signal } = new AbortController();
  await expect(followInPod(access, target, throws, signal)).rejects.toThrow('too long a line');
  refusal = { status: 403, body: { kind: 'Status', reason: 'Forbidden', message: 'not you' } };
  await expect(followInPod(access, target, throws, signal)).rejects.toMatchObject({ status: 403 });
  expect(await followInPod(access, target, throws, AbortSignal.abort())).toBeNull();
});

test('who may not is told the right that it takes, without the command', async () => {
  refusal = { status: 403, body: { kind: 'Status', reason: 'Forbidden', message: 'not you' } };
  await expect(execInPod(access, target)).rejects.toMatchObject({
    status: 403,
    message:
      'exec in pod shop/web-1: 403 Forbidden: not you; it takes the verbs get and create of pods/exec in namespace shop',
  });
});

test('whatever comes over the channels, it is a result or an error that says so', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 });
  fc.assert(
    fc.property(messages, (taken) => {
      const channels = new ExecChannels(1000);
      for (const one of taken) channels.take(one);
      expect(isNumberOrTold(() => channels.result()?.status ?? 0)).toBe(true);
    }),
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(isNumberOrTold(() => exitStatusOf(JSON.stringify(value)))).toBe(true);
    }),
  );
});

function isNumberOrTold(read: () => number): boolean {
  try {
    return Number.isInteger(read());
  } catch (error) {
    return (error as Error).message.startsWith('the command could not be run');
  }
}

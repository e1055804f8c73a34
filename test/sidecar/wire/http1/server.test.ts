import net from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { eachHead, Rig, waitFor } from './rig.ts';
import type { RigOptions } from './rig.ts';

let rig: Rig;

afterEach(async () => {
  await rig.stop();
});

async function start(
  upstream: Parameters<typeof Rig.start>[0],
  options?: RigOptions,
): Promise<Rig> {
  rig = await Rig.start(upstream, options);
  return rig;
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const get = 'GET /a?b HTTP/1.1\r\nHost: shop\r\n\r\n';

test('a request is forwarded and its response relayed', async () => {
  const heads: string[] = [];
  await start(
    eachHead((head, socket) => {
      heads.push(head);
      socket.write(ok);
    }),
  );
  const client = rig.connect();
  client.send(get);
  expect(await client.until('\r\n\r\nok')).toBe(ok);
  expect(heads).toEqual([get]);
  expect(rig.finished.length).toBe(1);
  const x = rig.finished[0]!;
  expect([x.status, x.attempts, x.responseBodyBytes, x.failure]).toEqual([200, 1, 2, null]);
  expect(x.finishedAtMs).toBeGreaterThanOrEqual(x.startedAtMs);
});

test('requests that are pipelined get their answers in order, one at a time', async () => {
  let open = 0;
  await start(
    eachHead((head, socket) => {
      expect(++open).toBe(1);
      setTimeout(() => {
        open--;
        const path = head.split(' ')[1]!;
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${path.length}\r\n\r\n${path}`);
      }, 2);
    }),
  );
  const client = rig.connect();
  client.send(
    Array.from({ length: 20 }, (_, i) => `GET /${i} HTTP/1.1\r\nhost: a\r\n\r\n`).join(''),
  );
  await waitFor(() => rig.finished.length === 20);
  await client.until('/19');
  expect(client.text.match(/(?<=\n)\/\d+/g)).toEqual(Array.from({ length: 20 }, (_, i) => `/${i}`));
  expect(rig.upstreamSockets.length).toBe(1);
});

test('a body goes through by its length, however it is split', async () => {
  await start((socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.endsWith('hello world')) return;
      socket.write(ok);
      text = '';
    });
  });
  const request = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nhello world';
  for (let at = 1; at < request.length; at++) {
    const client = rig.connect();
    client.send(request.slice(0, at));
    await new Promise((resolve) => setImmediate(resolve));
    client.send(request.slice(at));
    await client.until('ok');
    client.socket.destroy();
  }
  expect(rig.finished.every((x) => x.requestBodyBytes === 11 && x.status === 200)).toBe(true);
}, 20_000);

test('a request is not sent twice when its path is that of a POST and the idle connection is gone', async () => {
  let connections = 0;
  await start((socket) => {
    connections++;
    let requests = 0;
    socket.on('data', () => {
      if (++requests === 1) socket.write(ok);
      else socket.destroy();
    });
  });
  const client = rig.connect();
  client.send(get);
  await client.until('ok');
  client.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx');
  await client.until('503 Service');
  expect(connections).toBe(1);
  expect(rig.finished[1]!.failure?.code).toBe('upstream-reset');
});

test('an idempotent request on an idle connection that closes is sent once more, on a new one', async () => {
  let connections = 0;
  await start((socket) => {
    const first = ++connections === 1;
    let requests = 0;
    socket.on('data', () => {
      if (first && ++requests === 2) socket.destroy();
      else socket.write(ok);
    });
  });
  const client = rig.connect();
  client.send(get);
  await client.until('ok');
  client.send(get);
  await waitFor(() => rig.finished.length === 2);
  expect(connections).toBe(2);
  expect(rig.finished[1]).toMatchObject({ status: 200, attempts: 2, failure: null });
});

test('it is not sent a third time, and not when the first answer had begun', async () => {
  let connections = 0;
  await start((socket) => {
    const number = ++connections;
    let requests = 0;
    socket.on('data', () => {
      requests++;
      if (number === 1 && requests === 1) socket.write(ok);
      else if (number === 1) socket.end('HTT');
      else socket.destroy();
    });
  });
  const client = rig.connect();
  client.send(get);
  await client.until('ok');
  client.send(get);
  await client.until('503');
  expect(connections).toBe(1);
  client.send(get);
  await waitFor(() => rig.finished.length === 3);
  expect(connections).toBe(2);
});

test('bytes that nobody asked for on an idle upstream connection close it', async () => {
  await start(eachHead((_, socket) => socket.write(ok)));
  const client = rig.connect();
  client.send(get);
  await client.until('ok');
  rig.upstreamSockets[0]!.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nevil!');
  await waitFor(() => rig.pool.connections === 0);
  client.send(get);
  // The last bytes may still be on their way when the exchange is over.
  await waitFor(() => rig.finished.length === 2 && client.text.length >= 2 * ok.length);
  expect(client.text).toBe(ok + ok);
  expect(rig.upstreamSockets.length).toBe(2);
});

test('bytes after a complete response are never part of another', async () => {
  await start(eachHead((_, socket) => socket.write(`${ok}HTTP/1.1 200 OK\r\n\r\n`)));
  const client = rig.connect();
  client.send(get + get);
  // The last bytes may still be on their way when the exchange is over.
  await waitFor(() => rig.finished.length === 2 && client.text.length >= 2 * ok.length);
  expect(client.text).toBe(ok + ok);
  expect(rig.upstreamSockets.length).toBe(2);
});

test.each([
  ['a bad status line', 'HTTP/1.1 2x0 OK\r\n\r\n'],
  ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n'],
  ['CL and TE', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['101 unasked', 'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'],
  ['a bare LF', 'HTTP/1.1 200 OK\nset-cookie: a=b\n\n'],
  ['a head too large', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(70_000)}\r\n\r\n`],
  ['too many interim heads', 'HTTP/1.1 103 Early\r\n\r\n'.repeat(50)],
  ['a bad first chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
])('an upstream that answers %s gives 502', async (_, response) => {
  await start(eachHead((_head, socket) => socket.write(response)));
  const client = rig.connect();
  client.send(get);
  await client.until('502 Bad Gateway');
  expect(rig.finished[0]!.failure?.code).toBe('upstream-malformed');
  expect(rig.pool.connections).toBe(0);
});

test('a response that breaks off ends the client connection, so that nobody takes it for whole', async () => {
  const response = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
  for (let at = 1; at < response.length; at++) {
    await start(
      eachHead((_, socket) => {
        socket.write(response.slice(0, at));
        setTimeout(() => socket.destroy(), 1);
      }),
    );
    const client = rig.connect();
    client.send(get);
    await waitFor(() => rig.finished.length === 1);
    const x = rig.finished[0]!;
    expect(x.failure?.code).toBe('upstream-reset');
    if (response.slice(0, at).includes('\r\n\r\n')) await client.closed;
    else await client.until('503');
    expect(client.text).not.toContain('\r\n0\r\n\r\n');
    await rig.stop();
  }
});

test('a client that hangs up at any byte frees the upstream', async () => {
  const request = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello';
  await start((socket) => socket.resume());
  for (let at = 0; at <= request.length; at++) {
    const client = rig.connect();
    client.send(request.slice(0, at));
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (at % 2 === 0) client.socket.destroy();
    else client.socket.resetAndDestroy();
    await client.closed;
  }
  await waitFor(() => rig.server.connections === 0 && rig.pool.connections === 0);
  expect(rig.finished.every((x) => x.failure?.code === 'downstream-gone')).toBe(true);
  expect(rig.finished.length).toBeGreaterThan(0);
}, 20_000);

test('HEAD, 204 and 304 have no body, whatever their heads say', async () => {
  const heads = [
    'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n',
    'HTTP/1.1 204 No Content\r\ncontent-length: 10\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n',
  ];
  let next = 0;
  await start(eachHead((_, socket) => socket.write(heads[next++]!)));
  const client = rig.connect();
  client.send('HEAD / HTTP/1.1\r\nhost: a\r\n\r\n');
  await waitFor(() => rig.finished.length === 1);
  for (let i = 2; i <= 4; i++) {
    client.send(get);
    await waitFor(() => rig.finished.length === i);
  }
  await client.until('chunked');
  expect(client.text).toBe(`${heads[0]}HTTP/1.1 204 No Content\r\n\r\n${heads[2]}${heads[3]}`);
  expect(rig.upstreamSockets.length).toBe(1);
});

test('100-continue goes upstream and its answer comes back before the body', async () => {
  await start((socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      else if (text.endsWith('hello')) socket.write(ok);
    });
  });
  const client = rig.connect();
  client.send('PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n');
  await client.until('100 Continue\r\n\r\n');
  client.send('hello');
  await client.until('\r\n\r\nok');
  client.send('PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello');
  await waitFor(() => rig.finished.length === 2);
  expect(rig.finished.map((x) => [x.status, x.requestBodyBytes])).toEqual([
    [200, 5],
    [200, 5],
  ]);
});

test('an upstream that answers without a 100 that was asked for gets no other request', async () => {
  // It takes the body for the next request (0.CL), which must then not be anybody's.
  await start(eachHead((_head, socket) => socket.write(ok)));
  const client = rig.connect();
  const hidden = 'GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n';
  const announced = `expect: 100-continue\r\ncontent-length: ${hidden.length}`;
  client.send(`PUT / HTTP/1.1\r\nhost: a\r\n${announced}\r\n\r\n${hidden}`);
  await client.until('\r\n\r\nok');
  client.send(get);
  await waitFor(() => rig.finished.length === 2);
  expect(rig.finished.map((x) => x.status)).toEqual([200, 200]);
  expect(rig.upstreamSockets.length).toBe(2);
});

test('a refusal before a body that the client has announced closes the connection', async () => {
  await start(() => {}, { path: { start: (x) => x.stream.reply(403, '', 'no', false) } });
  const text = await rig.exchange(
    'PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n',
  );
  expect(text).toBe('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno');
});

test('a refusal drops the body and the next request on the connection is served', async () => {
  await start(
    eachHead((_, socket) => socket.write(ok)),
    {
      path: {
        start: (x) =>
          x.request.method === 'POST'
            ? x.stream.reply(403, 'x: y\r\n', 'no', false)
            : x.stream.forward(rig.pool),
      },
    },
  );
  const client = rig.connect();
  const body = 'GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n';
  client.send(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length + 5}\r\n\r\n${body}`);
  await client.until('\r\n\r\nno');
  client.send(`12345${get}`);
  await client.until('\r\n\r\nok');
  expect(rig.finished.map((x) => [x.request.path, x.status])).toHaveLength(2);
  expect(client.text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 403', 'HTTP/1.1 200']);
});

test('a large body behind a refusal is read only up to the limit, and the answer still arrives', async () => {
  await start(() => {}, {
    limits: { drainBytesMax: 100_000 },
    path: { start: (x) => x.stream.reply(403, '', 'no', false) },
  });
  const client = rig.connect();
  client.send('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
  const chunk = `ffff\r\n${'x'.repeat(65_535)}\r\n`;
  const timer = setInterval(() => client.send(chunk), 1);
  await client.closed;
  clearInterval(timer);
  expect(client.text).toContain('403 Forbidden');
});

test('an answer that comes while the request is still being sent is relayed', async () => {
  await start((socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n'));
  });
  const client = rig.connect();
  client.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc');
  await client.until('413 No');
  await waitFor(() => rig.pool.connections === 0);
  client.send(`${'x'.repeat(997)}${get}`);
  await waitFor(() => rig.upstreamSockets.length === 2);
  expect(rig.finished[0]).toMatchObject({ status: 413, failure: null });
});

test('a websocket goes through after 101, half-closed either way', async () => {
  await start((socket) => {
    socket.allowHalfOpen = true;
    socket.once('data', (chunk: Buffer) => {
      expect(chunk.toString()).toContain('connection: upgrade\r\n');
      socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi');
      socket.on('data', (chunk: Buffer) => socket.write(`<${chunk.toString()}>`));
      socket.on('end', () => socket.end('bye'));
    });
  });
  const client = rig.connect();
  client.send(
    'GET /chat HTTP/1.1\r\nhost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  await client.until('\r\n\r\nhi');
  expect(client.text).toContain('connection: upgrade\r\n');
  client.send('one');
  await client.until('<one>');
  client.socket.end();
  await client.until('bye');
  await waitFor(() => rig.finished.length === 1);
  expect(rig.finished[0]).toMatchObject({
    status: 101,
    failure: null,
    requestBodyBytes: 3,
    responseBodyBytes: 10,
  });
  await waitFor(() => rig.server.connections === 0 && rig.pool.connections === 0);
});

test('an upstream that answers 200 to an upgrade gets no tunnel', async () => {
  const seen: string[] = [];
  await start((socket) => {
    socket.on('data', (chunk: Buffer) => {
      seen.push(chunk.toString());
      socket.write(
        `HTTP/1.1 200 OK\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 2\r\n\r\nok`,
      );
    });
  });
  const client = rig.connect();
  client.send(
    'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n' +
      'GET /secret HTTP/1.1\r\nhost: a\r\n\r\n',
  );
  await client.closed;
  expect(client.text).toBe('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok');
  expect(seen.length).toBe(1);
  // The application may read no more requests from that socket.
  expect(rig.pool.connections).toBe(0);
});

test('a response without a length goes on in chunks, and the connection lives', async () => {
  await start(
    eachHead((_, socket) => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello')),
  );
  const client = rig.connect();
  client.send(get);
  await client.until('0\r\n\r\n');
  expect(client.text).toBe(
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  );
  client.send(get);
  await waitFor(() => rig.finished.length === 2);
  expect(rig.finished[0]!.responseBodyBytes).toBe(5);
});

test('an HTTP/1.0 client gets content without chunks, and the end of the connection', async () => {
  const body = '5\r\nhello\r\n6;x\r\n world\r\n0\r\n\r\n';
  await start(
    eachHead((_, socket) =>
      socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${body}`),
    ),
  );
  const text = await rig.exchange('GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n');
  expect(text).toBe('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello world');
});

test('chunked bodies with trailers pass as they are, both ways', async () => {
  const body = '5;a=b\r\nhello\r\n0\r\nx-sum: 1\r\ngrpc-status: 9\r\n\r\n';
  let got = '';
  await start((socket) => {
    socket.on('data', (chunk: Buffer) => {
      got += chunk.toString();
      if (got.endsWith(body)) {
        socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${body}`);
      }
    });
  });
  const client = rig.connect();
  const request = `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${body}`;
  client.send(request);
  await client.until(body);
  await waitFor(() => rig.finished.length === 1);
  expect(got).toBe(request);
  expect(rig.finished[0]).toMatchObject({
    requestBodyBytes: 5,
    responseBodyBytes: 5,
    grpcStatus: '9',
  });
});

test('a chunked request that turns out malformed is cut off upstream and answered 400', async () => {
  let got = '';
  await start((socket) => socket.on('data', (chunk: Buffer) => (got += chunk.toString())));
  const client = rig.connect();
  client.send('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n');
  await waitFor(() => got.includes('ab'));
  client.send('0\r\ncontent-length: 3\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await client.closed;
  expect(client.text).toContain('400 Bad Request');
  expect(got).not.toContain('content-length');
  await waitFor(() => rig.pool.connections === 0);
  expect(rig.finished.length).toBe(1);
});

test('something that is no request is answered 400 and closed, and no layer hears of it', async () => {
  await start(eachHead((_, socket) => socket.write(ok)));
  const text = await rig.exchange(`${get}GET / HTTP/1.1\nhost: a\n\n${get}`);
  expect(text).toMatch(/^HTTP\/1.1 200 OK[^]*ok$|^HTTP\/1.1 200 OK[^]*okHTTP\/1.1 400 Bad Request/);
  expect(text).toContain('400 Bad Request');
  expect(text).toContain('connection: close');
  expect(rig.finished.length).toBe(1);
  expect(rig.unheard.length).toBe(1);
  expect(rig.unheard[0]).toMatchObject({ status: 400, request: { method: '', path: '' } });
});

test('layers may take their time, and a body waits meanwhile', async () => {
  await start(
    (socket) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.endsWith('hello')) socket.write(ok);
      });
    },
    { path: { start: (x) => void setTimeout(() => x.stream.forward(rig.pool), 20) } },
  );
  const client = rig.connect();
  client.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe');
  await new Promise((resolve) => setTimeout(resolve, 5));
  client.send('llo');
  await client.until('ok');
  expect(rig.finished[0]).toMatchObject({ status: 200, requestBodyBytes: 5 });
});

test('a layer that answers when the client is gone, or twice, reaches nobody', async () => {
  let late: (() => void) | null = null;
  await start(
    eachHead((_, socket) => socket.write(ok)),
    {
      path: {
        start: (x) => {
          if (x.request.path === '/late') late = () => x.stream.forward(rig.pool);
          else {
            x.stream.reply(200, '', 'one', false);
            x.stream.reply(200, '', 'two', false);
            x.stream.forward(rig.pool);
          }
        },
      },
    },
  );
  const client = rig.connect();
  client.send(get);
  await client.until('one');
  client.send('GET /late HTTP/1.1\r\nhost: a\r\n\r\n');
  await waitFor(() => late !== null);
  client.socket.destroy();
  await waitFor(() => rig.finished.length === 2);
  late!();
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(rig.upstreamSockets.length).toBe(0);
  expect(client.text).not.toContain('two');
});

test('CONNECT is tunnelled to the socket that a layer opened', async () => {
  await start(
    (socket) => {
      socket.allowHalfOpen = true;
      socket.on('data', (chunk: Buffer) => socket.write(`<${chunk.toString()}>`));
      socket.on('end', () => socket.end('bye'));
    },
    {
      path: {
        start: (x) => {
          const port = Number(rig.pool.address.split(':')[1]);
          const upstream = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () =>
            x.stream.tunnel(upstream),
          );
        },
      },
    },
  );
  const client = rig.connect();
  client.send('CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\nearly');
  await client.until('<early>');
  client.send('more');
  await client.until('<more>');
  client.socket.end();
  await client.until('bye');
  await waitFor(() => rig.finished.length === 1);
  expect(rig.finished[0]).toMatchObject({ status: 200, requestBodyBytes: 9, failure: null });
  expect(client.text.startsWith('HTTP/1.1 200 OK\r\n\r\n')).toBe(true);
});

test('a gRPC caller gets a failure as grpc-status', async () => {
  await start((socket) => socket.destroy());
  const client = rig.connect();
  client.send(
    'POST /s/m HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n',
  );
  await client.until('grpc-status: 14');
  expect(client.text).toContain('HTTP/1.1 200 OK\r\n');
  expect(client.text).toContain('grpc-message: upstream reset before response\r\n');
  expect(client.text.match(/content-type/g)).toHaveLength(1);
});

test('layers edit the request and the response', async () => {
  let head = '';
  await start(
    eachHead((text, socket) => {
      head = text;
      socket.write('HTTP/1.1 200 OK\r\nServer: app\r\ncontent-length: 0\r\n\r\n');
    }),
    {
      path: {
        start: (x) => {
          x.request.remove('x-forged');
          x.request.append('x-own', '1');
          x.request.setPath('/v2/a');
          x.stream.forward(rig.pool);
        },
        respond: (_, response) => {
          response.remove('server');
          response.append('via', 'selvage');
        },
      },
    },
  );
  const client = rig.connect();
  client.send('GET /a HTTP/1.1\r\nhost: a\r\nX-Forged: 1\r\n\r\n');
  await client.until('\r\n\r\n');
  expect(head).toBe('GET /v2/a HTTP/1.1\r\nhost: a\r\nx-own: 1\r\n\r\n');
  expect(client.text).toBe('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nvia: selvage\r\n\r\n');
});

test('sockets that were made without onread are served the same', async () => {
  await start(
    eachHead((_, socket) => socket.write(ok)),
    { plainRead: true },
  );
  const client = rig.connect();
  client.send(get + get);
  await waitFor(() => client.text === ok + ok);
  expect(rig.finished.length).toBe(2);
});

test('two engines in a row give what one gives', async () => {
  await start((socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.endsWith('0\r\n\r\n')) {
        text = '';
        socket.write(ok);
      }
    });
  });
  const inner = rig;
  const outer = await Rig.start(() => {}, { upstreamPort: inner.port });
  const client = outer.connect();
  for (let i = 1; i <= 3; i++) {
    client.send(
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    await waitFor(() => outer.finished.length === i);
  }
  // What is finished here may still be on its way to the client.
  await waitFor(() => client.text.length >= 3 * ok.length);
  expect(client.text).toBe(ok + ok + ok);
  await outer.stop();
});

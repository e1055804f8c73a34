import { expect, test } from 'vitest';

import { Exchange } from '#sidecar/exchange.ts';
import { choose } from '#sidecar/routing/choose.ts';
import { compileGroup } from '#sidecar/routing/compile-group.ts';
import { editRequest } from '#sidecar/routing/rewrite.ts';
import { http1Limits } from '#sidecar/wire/http1/limits.ts';
import { RequestHead } from '#sidecar/wire/http1/request-head.ts';

import { makeDownstream } from '../telemetry/exchanges.ts';
import { makeGroup, makeRoute, regexFactory } from './models.ts';

const regexes = await regexFactory();
const group = compileGroup(
  makeGroup([
    makeRoute({
      matches: [
        {
          path: { kind: 'regex', value: '/v[0-9]+/.*' },
          headers: [{ name: 'x-user', match: { kind: 'exact', value: 'a,b' } }],
        },
      ],
      rewrite: {
        path: { kind: 'regex', match: '^/v([0-9]+)/', value: String.raw`/r\1/` },
        authority: 'canary',
      },
      headers: {
        request: {
          set: { 'x-from': '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %REQ(:path)%' },
          remove: ['X-User', 'content-length'],
        },
      },
      action: {
        kind: 'forward',
        destinations: [{ destination: { host: 'd', port: 80, subset: '' }, weight: 1 }],
      },
    }),
  ]),
  regexes,
  (problem) => {
    throw new Error(problem);
  },
);

test('a head as the wire reads it is matched, edited and sent on whole', () => {
  const head = new RequestHead(http1Limits);
  const text =
    'POST /v2/a?b HTTP/1.1\r\nX-User: a\r\nHost: a\r\ncontent-length: 1\r\nx-user: b\r\n\r\n';
  const bytes = Buffer.from(text, 'latin1');
  expect(head.feed(bytes, 0, bytes.length)).toBe('done');
  head.setPath(head.rawTarget);
  const stream = {
    reply() {},
    forward() {},
    tunnel() {},
    serveInside() {},
    cutOff() {},
    readBody: async () => 'gone' as const,
    bodyStart: () => Buffer.alloc(0),
    replaceBody() {},
    limitTime() {},
  };
  const x = new Exchange(makeDownstream(), head, stream, 'HTTP/1.1');
  const route = group.route(head);
  const to = route?.action.kind === 'forward' ? choose(route.action, 0, head, '', () => 0) : null;
  if (route === null || to === null) throw new Error('no route');
  editRequest(x, route, to);
  const out = Buffer.alloc(head.http1BytesMax());
  expect(out.toString('latin1', 0, head.writeHttp1(out, 0))).toBe(
    'POST /r2/a?b HTTP/1.1\r\nHost: canary\r\ncontent-length: 1\r\n' +
      'x-from: 10.0.0.7 /v2/a?b\r\nx-envoy-original-path: /v2/a?b\r\n\r\n',
  );
});

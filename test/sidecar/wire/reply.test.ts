import { expect, test } from 'vitest';

import type { Exchange } from '#sidecar/exchange.ts';
import { failures } from '#sidecar/failures.ts';
import type { FailureCode } from '#sidecar/failures.ts';
import { replyOf } from '#sidecar/wire/reply.ts';

function exchange(method: string, contentType = '', failure: FailureCode | null = 'draining') {
  const values = (name: string): string[] =>
    name === 'content-type' && contentType !== '' ? [contentType] : [];
  const x = { request: { method, values }, failure: null as unknown, grpcStatus: '' };
  if (failure !== null) x.failure = failures[failure];
  return x as unknown as Exchange;
}

const plain = 'content-type: text/plain\r\n';

test('an answer says its length, and has none where none may be', () => {
  expect(replyOf(exchange('GET'), 403, plain, 'no \u20ac')).toEqual({
    status: 403,
    lines: `${plain}content-length: 6\r\n`,
    body: 'no \u20ac',
  });
  expect(replyOf(exchange('HEAD'), 403, plain, 'no')).toEqual({
    status: 403,
    lines: `${plain}content-length: 2\r\n`,
    body: '',
  });
  for (const status of [204, 304]) {
    expect(replyOf(exchange('GET'), status, 'x: y\r\n', 'no')).toEqual({
      status,
      lines: 'x: y\r\n',
      body: '',
    });
  }
});

test.each([
  [400, '13'],
  [401, '16'],
  [403, '7'],
  [404, '12'],
  [429, '14'],
  [502, '14'],
  [503, '14'],
  [504, '14'],
  [413, '2'],
])('a failure of %i is status %s for a gRPC caller', (status, grpcStatus) => {
  const x = exchange('POST', 'application/grpc');
  const reply = replyOf(x, status, `Content-Type: text/plain\r\nx: y\r\n`, 'why');
  expect(reply).toEqual({
    status: 200,
    lines:
      'x: y\r\ncontent-type: application/grpc\r\n' +
      `grpc-status: ${grpcStatus}\r\ngrpc-message: why\r\ncontent-length: 0\r\n`,
    body: '',
  });
  expect(x.grpcStatus).toBe(grpcStatus);
});

test('a gRPC message is percent-encoded, and left out when it is empty', () => {
  const lines = (body: string): string =>
    replyOf(exchange('POST', 'application/grpc+proto'), 403, '', body).lines;
  expect(lines('a%b\r\nc \u20ac \u{1f600} \ud800')).toContain(
    'grpc-message: a%25b%0D%0Ac %E2%82%AC %F0%9F%98%80 %EF%BF%BD\r\n',
  );
  expect(lines('')).not.toContain('grpc-message');
});

test('what is no failure, or no gRPC, stays as it is', () => {
  expect(replyOf(exchange('POST', 'application/grpc', null), 403, plain, 'no').status).toBe(403);
  for (const type of ['application/grpc-web', 'application/grpcx', 'text/plain', '']) {
    expect(replyOf(exchange('POST', type), 403, plain, 'no').status).toBe(403);
  }
});

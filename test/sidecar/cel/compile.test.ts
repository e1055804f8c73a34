// CEL over a call: the language, the attributes, what it may cost, and that nothing makes it throw.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { compileCel, type CelProgram } from '#sidecar/cel/compile.ts';
import { celText } from '#sidecar/cel/text.ts';
import { prepareRegexes } from '#sidecar/routing/regex.ts';
import { celTexts } from '#test/api/cel/texts.ts';
import { makeDownstream, makeExchange, makeSession } from '#test/sidecar/telemetry/exchanges.ts';

import { beyondEnvoyCases, languageCases, requestCases } from './cases.ts';

const log = { provider: 'envoy', path: '', filter: "request.path.matches('a')" };
await prepareRegexes({ telemetry: { inbound: { logs: [log] }, outbound: {} } });

function programOrError(text: string): CelProgram | string {
  try {
    return compileCel(text);
  } catch (error) {
    return (error as Error).message;
  }
}

const wanted = (expression: string) => compileCel(expression).wanted.headers;

function charge() {
  const x = makeExchange({
    downstream: makeDownstream({
      facts: { ...makeDownstream().facts, mtls: false, identities: [], sni: '' },
      remoteAddress: '127.0.0.1',
      localAddress: '127.0.0.1',
    }),
    path: '/charges?id=7&x',
    headers: [
      ['user-agent', 'curl/8'],
      ['x-team', 'a'],
      ['x-team', 'b'],
    ],
  });
  x.responseBodyBytes = 5;
  x.attempts = 1;
  x.answerLines = [['x-answer', 'yes']];
  return x;
}

test.each([...languageCases, ...beyondEnvoyCases, ...requestCases])(
  '%s is %s',
  (expression, value) => {
    expect(celText(compileCel(expression).evaluate(charge()))).toBe(value);
  },
);

test.each([
  ["connection.uri_san_peer_certificate.startsWith('spiffe://')", 'true'],
  ["xds.cluster_name == 'inbound|8080||'", 'true'],
  ['request.path', null],
  ['response.code >= 0', null],
  ['request.size + response.size', '12'],
  ["upstream.address == '127.0.0.1:9000'", 'true'],
])('of a byte stream, %s is %s', (expression, value) => {
  const session = makeSession({ receivedBytes: 5, sentBytes: 7 });
  expect(celText(compileCel(expression).evaluate(session))).toBe(value);
});

test('a refused connection has its ends, and why', () => {
  const refusal = {
    downstream: makeDownstream(),
    destinationPort: 8080,
    transport: 'plaintext',
    sni: 'a',
    reason: 'plaintext refused',
    at: null,
  } as const;
  const text = (expression: string) => celText(compileCel(expression).evaluate(refusal));
  expect(text('source.address')).toBe('10.0.0.7:41000');
  expect(text('connection.requested_server_name')).toBe('a');
  expect(text('connection.transport_failure_reason')).toBe('plaintext refused');
  expect(text('response.flags != 0')).toBe('true');
  expect(text('request.method')).toBeNull();
});

test('a program says which headers of answers it reads', () => {
  expect(wanted('response.code == 200')).toEqual(new Set());
  expect(wanted("response.headers['X-A'] == 'b' || has(response.headers.b)")).toEqual(
    new Set(['x-a', 'b']),
  );
  expect(wanted('response.headers.all(name, name in request.headers)')).toBeNull();
  expect(wanted('response.headers[request.path]')).toBeNull();
  expect(wanted('response.total_size > 10')).toBeNull();
});

test.each([
  ['request.path ==', 'character 16: expected a value, and found the end'],
  ['nope(1)', 'character 1: there is no function nope()'],
  ['request.path.matches(request.host)', 'must be written out'],
  ["request.path.matches('(')", 'regular expression "("'],
])('%s is refused: %s', (expression, why) => {
  expect(() => compileCel(expression)).toThrow(why);
});

test('macros within macros end at a bound', () => {
  const list = `[${'1,'.repeat(100)}1]`;
  const nested = `${list}.all(a, ${list}.all(b, a == b))`;
  expect(compileCel(nested).evaluate(charge())).toBeUndefined();
  expect(compileCel(`${list}.all(a, a == 1)`).evaluate(charge())).toBe(true);
});

test('what joins grows no further than its bound', () => {
  const x = makeExchange({ path: `/${'a'.repeat(60_000)}` });
  expect(compileCel('request.path + request.path').evaluate(x)).toBeUndefined();
});

test('whatever is written, compiling gives a program or an error that says where, and no call makes it throw', () => {
  const subjects = [charge(), makeSession(), makeExchange({ status: 0 })];
  fc.assert(
    fc.property(celTexts, (text) => {
      const compiled = programOrError(text);
      const error = typeof compiled === 'string' ? compiled : 'CEL, character 1: ';
      expect(error).toMatch(/^(CEL, character \d+: |regular expression )/);
      if (typeof compiled === 'string') return;
      for (const subject of subjects) celText(compiled.evaluate(subject));
    }),
    { numRuns: 2000 },
  );
});

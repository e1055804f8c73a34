// CEL over a call: the language, the attributes, and that nothing makes it throw.
import { expect, test } from 'vitest';

import { celText, compileCel } from '#sidecar/cel/compile.ts';
import { prepareRegexes } from '#sidecar/routing/regex.ts';
import { makeDownstream, makeExchange } from '#test/sidecar/telemetry/exchanges.ts';

import { beyondEnvoyCases, languageCases, requestCases } from './cases.ts';

const log = { provider: 'envoy', path: '', filter: "request.path.matches('a')" };
await prepareRegexes({ telemetry: { inbound: { logs: [log] }, outbound: {} } });

const plain = { ...makeDownstream().facts, mtls: false, identities: [], sni: '' };

function charge() {
  const x = makeExchange({
    downstream: makeDownstream({
      facts: plain,
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

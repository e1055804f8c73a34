// What `check` says of formats of access logs, and that reading one never fails otherwise.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { checkLogFormat } from '#api/access-log/check.ts';
import { isLogFormatFault, parseLogFormat } from '#api/access-log/format.ts';
import { argumentOperators, plainOperators, silentOperators } from '#api/access-log/operators.ts';

const said = (text: string): string[] =>
  checkLogFormat(text).map(
    ({ severity, message, mend }) =>
      `${severity}: ${message}${mend === undefined ? '' : ` (${mend})`}`,
  );

test.each([
  'plain text, 100%% of it',
  '[%START_TIME(%Y/%m/%dT%H:%M:%S%z %s.%3f)%] "%REQ(:METHOD)%"',
  '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH):80%',
  "%CEL(request.headers['x-a'].startsWith('b'))% %TYPED_CEL(response.code)%",
  '%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%',
  '%PATH(NQ)% %PATH(WQ:ORIG_OR_PATH)% %QUERY_PARAM(id)% %ENVIRONMENT(HOME)%',
  '%SELVAGE_WHY% %SELVAGE_POLICY% %SELVAGE_RULE% %SELVAGE_AT%',
])('nothing is said of %s', (text) => {
  expect(said(text)).toEqual([]);
});

test.each([
  ['100%', 'error: character 4: a "%" is not closed; "%%" stands for itself'],
  [
    'a %req(:path)% b',
    'error: character 3: %req(:path)% is no operator: they are written as %RESPONSE_CODE% or %REQ(:PATH)%',
  ],
  [
    '%RESPONSE_COD%',
    'error: character 1: there is no operator %RESPONSE_COD% (did you mean %RESPONSE_CODE%?)',
  ],
  ['%REQ%', 'error: character 1: %REQ% needs an argument: %REQ(X-NAME)%'],
  ['%CEL%', 'error: character 1: %CEL% needs an argument: %CEL(request.host)%'],
  ['%PROTOCOL(X)%', 'error: character 1: %PROTOCOL% takes no argument'],
  ['%REQ(A?B?C)%', 'error: character 1: "A?B?C" has more than one header beside the first'],
  ['%REQ(A B)%', 'error: character 1: "A B" is no name of a header'],
  ['%CEL(1 +)%', 'error: character 9: expected a value, and found the end'],
  [
    '%UPSTREAM_METADATA(a:b)%',
    'warning: character 1: a sidecar does not know %UPSTREAM_METADATA%, and writes "-" (remove it)',
  ],
  [
    '%GRPC_STATUS(X)%',
    'error: character 1: %GRPC_STATUS% takes one of CAMEL_STRING, SNAKE_STRING, NUMBER',
  ],
])('%s: %s', (text, finding) => {
  expect(said(text)).toEqual([finding]);
});

test('a form of a time that nobody knows is named', () => {
  expect(said('%START_TIME(%Q)%')[0]).toContain('"%Q" is no form of a time');
});

test('no operator is of two kinds', () => {
  const all = [...plainOperators, ...Object.keys(argumentOperators), ...silentOperators];
  expect(new Set(all).size).toBe(all.length);
});

test('whatever is written is pieces that stand for all of it, or a fault within it', () => {
  const texts = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '%',
          '%%',
          '(',
          ')',
          ':',
          '12',
          'REQ',
          'CEL(request.host)',
          '\n',
          '%PROTOCOL%',
        ),
        fc.string({ maxLength: 5 }),
      ),
      { maxLength: 20 },
    )
    .map((list) => list.join(''));
  fc.assert(
    fc.property(texts, (text) => {
      const parsed = parseLogFormat(text);
      for (const { message } of checkLogFormat(text)) expect(message).toMatch(/^character \d+: /);
      const at = isLogFormatFault(parsed) ? parsed.at : -1;
      expect(at).toBeLessThan(text.length);
      const plain = !isLogFormatFault(parsed) && parsed.every((piece) => typeof piece === 'string');
      expect(plain ? parsed.join('').replaceAll('%', '%%') : text).toBe(text);
    }),
    { numRuns: 2000 },
  );
});

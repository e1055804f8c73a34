// The log: one JSON line for each event, errors with their causes.
import { expect, test } from 'vitest';
import { createLog } from '#runtime/log.ts';

function lines(level: 'debug' | 'info' | 'warn') {
  const written: Record<string, unknown>[] = [];
  const write = (line: string) => void written.push(JSON.parse(line) as Record<string, unknown>);
  return { written, log: createLog('ca', level, { write }) };
}

test('a line carries time, level, name, fields and message', () => {
  const { written, log } = lines('info');
  log.child({ node: 'a' }).info({ port: 1 }, 'listening');
  expect(written).toEqual([
    {
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      level: 'info',
      name: 'ca',
      node: 'a',
      port: 1,
      msg: 'listening',
    },
  ]);
});

test('levels below the chosen one are silent', () => {
  const { written, log } = lines('warn');
  log.debug({}, 'no');
  log.info({}, 'no');
  log.warn({}, 'yes');
  expect(written.map((line) => line['msg'])).toEqual(['yes']);
});

test('an error is written with its message and its cause', () => {
  const { written, log } = lines('info');
  log.error({ error: new Error('outer', { cause: new Error('inner') }) }, 'failed');
  expect(JSON.stringify(written[0])).toContain('outer: inner');
});

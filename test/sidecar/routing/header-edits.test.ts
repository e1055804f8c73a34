import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { MessageEdits } from '#api/traffic/route.ts';
import type { ResponseView } from '#sidecar/exchange.ts';
import {
  applyRequestEdits,
  applyResponseEdits,
  compileEdits,
  replyLines,
  type CompiledEdits,
} from '#sidecar/routing/header-edits.ts';
import { readTemplate, textOf } from '#sidecar/routing/header-variables.ts';

import { makeDownstream, makeExchange } from '../telemetry/exchanges.ts';

function compile(...edits: MessageEdits[]): CompiledEdits {
  const compiled = compileEdits(edits);
  if (compiled === null) throw new Error('no edits');
  return compiled;
}

function edited(headers: [string, string][], ...edits: MessageEdits[]): [string, string][] {
  const x = makeExchange({ headers });
  applyRequestEdits(compile(...edits), x);
  return x.request.lines();
}

test('what is removed goes first, then what is set replaces, then what is added is appended', () => {
  const before: [string, string][] = [
    ['a', '1'],
    ['b', '1'],
    ['b', '2'],
    ['c', '1'],
  ];
  const request = { remove: ['A', 'b'], set: { C: '2' }, add: { c: '3', b: '4', a: '5' } };
  expect(edited(before, { request })).toEqual([
    ['c', '2'],
    ['a', '5'],
    ['b', '4'],
    ['c', '3'],
  ]);
});

test('of two that set one header the later one counts', () => {
  const first = { request: { set: { a: '1' }, add: { a: '2' } } };
  expect(edited([], first, { request: { set: { a: '3' } } })).toEqual([
    ['a', '3'],
    ['a', '2'],
  ]);
});

test('Host is the new authority, and no pseudo-header is ever edited', () => {
  const request = { set: { Host: 'b', ':path': '/' }, add: { ':method': 'PUT' }, remove: ['host'] };
  expect(compile({ request })).toEqual({ request: null, response: null, authority: 'b' });
  expect(compile({ request: { add: { ':authority': 'c' } } }).authority).toBe('c');
  expect(compileEdits([{ request: { remove: [':path', 'host'] } }])).toBeNull();
  expect(compileEdits([{}, { response: {} }])).toBeNull();
});

test.each([
  ['plain', 'plain'],
  ['100%% %', '100% %'],
  ['%REQ(X-User)%', 'ann'],
  ['<%REQ(x-none)%>', '<>'],
  ['%REQ(x-none?x-user)%', 'ann'],
  ['%REQ(:authority)%%REQ(:path)%', 'payments.billing/charges'],
  ['%REQ(x-user):2%', 'an'],
  ['%REQ(x-two)%', '1,2'],
  ['%PROTOCOL%', 'HTTP/1.1'],
  ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '10.0.0.7'],
  ['%DOWNSTREAM_REMOTE_ADDRESS%', '10.0.0.7:41000'],
  ['%DOWNSTREAM_LOCAL_PORT%', '8080'],
  ['%STREAM_ID%', 'a-request'],
  ['%NO_SUCH_THING%', '%NO_SUCH_THING%'],
  ['%DYNAMIC_METADATA(a)%', '%DYNAMIC_METADATA(a)%'],
  ['%req(x-user)%', '%req(x-user)%'],
])('%s says %s', (value, text) => {
  const headers: [string, string][] = [
    ['x-user', 'ann'],
    ['x-two', '1'],
    ['x-two', '2'],
  ];
  expect(textOf(readTemplate(value), makeExchange({ headers }), null)).toBe(text);
});

test('the time when a request began is told as Envoy tells it', () => {
  const text = textOf(readTemplate('%START_TIME%'), makeExchange(), null);
  expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Math.abs(Date.parse(text) - Date.now())).toBeLessThan(60_000);
});

test('an address of IPv6 stands in brackets before its port', () => {
  const downstream = makeDownstream({ remoteAddress: 'fd00::1', remotePort: 7 });
  const x = makeExchange({ downstream });
  expect(textOf(readTemplate('%DOWNSTREAM_REMOTE_ADDRESS%'), x, null)).toBe('[fd00::1]:7');
});

test('values are made of the head as it came, and an empty one edits nothing', () => {
  const before: [string, string][] = [
    ['a', '1'],
    ['b', '2'],
  ];
  const request = { set: { a: '%REQ(b)%', b: '%REQ(a)%' }, add: { c: '%REQ(none)%' } };
  expect(edited(before, { request })).toEqual([
    ['a', '2'],
    ['b', '1'],
  ]);
  expect(edited(before, { request: { set: { a: '%REQ(none)%' }, remove: ['b'] } })).toEqual([
    ['a', '1'],
  ]);
});

test('answers are edited with what they say themselves', () => {
  const lines: [string, string][] = [['x-old', '7']];
  const response: ResponseView = {
    status: 503,
    values: (name) => lines.filter((line) => line[0] === name).map((line) => line[1]),
    remove: (name) => lines.splice(0, lines.length, ...lines.filter((line) => line[0] !== name)),
    append: (name, value) => lines.push([name, value]),
  };
  const edits = {
    set: { 'x-new': '%RESP(x-old)%', 'x-code': '%RESPONSE_CODE%/%RESP(:status)%' },
    add: { 'x-path': '%REQ(:path)%' },
  };
  applyResponseEdits(compile({ response: edits }), makeExchange(), response);
  expect(lines).toEqual([
    ['x-old', '7'],
    ['x-code', '503/503'],
    ['x-new', '7'],
    ['x-path', '/charges'],
  ]);
});

test('an answer of our own has the lines that are set and added', () => {
  const response = { set: { a: '1', b: '%REQ(x)%' }, add: { c: '3' }, remove: ['d'] };
  const x = makeExchange({ headers: [['x', 'é\r\nevil: 1']] });
  expect(replyLines(compile({ response }), x)).toBe('a: 1\r\nb: Ã©  evil: 1\r\nc: 3\r\n');
  expect(replyLines(compile({ request: { remove: ['a'] } }), x)).toBe('');
  const unfit = { set: { 'content-length': '5', connection: 'x', 'a: b\r\nc': '1', '': '1' } };
  expect(replyLines(compile({ response: unfit }), x)).toBe('');
});

test('no value makes a template throw, and one without a percent sign is itself', () => {
  const piece = fc.constantFrom('%', '%%', 'REQ', '(', ')', ':path', ':3', 'PROTOCOL', 'x', '?');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const value = pieces.join('');
      const text = textOf(readTemplate(value), makeExchange(), null);
      expect(value.includes('%') ? typeof text : text).toBe(value.includes('%') ? 'string' : value);
    }),
  );
});

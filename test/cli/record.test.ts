// What `selvage record` writes, of how many pods, and until when.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { record } from '#cli/record.ts';
import { parseRecording } from '#cli/recording/format.ts';

import { header, recorded } from './recording/calls.ts';
import { openFake } from './recording/fake-sidecars.ts';
import { folderOf } from './yaml-folder.ts';

test('calls of all pods go into a file, with the labels of their workload', async () => {
  const { path, io } = await folderOf({});
  const asked: string[] = [];
  const open = openFake(
    [
      { pod: 'cart-0', lines: [recorded(), { dropped: 2 }] },
      { pod: 'cart-1', lines: [recorded({ path: '/b?x=secret' })] },
    ],
    asked,
  );
  const out = io();
  expect(await record(['shop/cart', '-o', 'calls.ndjson'], out, open)).toBe(0);
  const { header: written, calls } = parseRecording(
    await readFile(join(path, 'calls.ndjson'), 'utf8'),
    'f',
  );
  expect(written).toMatchObject({ mesh: 'a test', workloads: header.workloads });
  expect(calls.map((call) => call.path)).toEqual(['/api/items', '/b?x=…']);
  expect(calls[0]?.facts).toMatchObject({ sourceIp: '10.0.0.1' });
  expect(asked).toContain('/tap?direction=inbound&facts=1');
  expect(out.err()).toMatch('2 calls recorded; 2 more came too fast');
});

test('it ends at the limit', async () => {
  const { io } = await folderOf({});
  const out = io();
  const lines = Array.from({ length: 5 }, () => recorded());
  expect(await record(['shop/cart', '--limit', '3'], out, openFake([{ pod: 'a', lines }]))).toBe(0);
  expect(parseRecording(out.out(), 'f').calls).toHaveLength(3);
});

test('a pod that does not answer is said, and the others go on', async () => {
  const { io } = await folderOf({});
  const out = io();
  const some = [{ pod: 'a', lines: [recorded()] }, { pod: 'b' }];
  expect(await record(['shop/cart'], out, openFake(some))).toBe(0);
  expect(out.err()).toMatch('the sidecar of shop/b does not answer');
  const none = io();
  expect(await record(['shop/cart'], none, openFake([{ pod: 'b' }]))).toBe(2);
  expect(none.err()).toMatch('selvage record: the sidecar of shop/b does not answer');
});

test.each([
  [[], /say whose calls/],
  [['cart'], /say whose calls/],
  [['shop/none'], /no pod of shop\/none has a sidecar/],
  [['shop/cart', '--for', 'ages'], /--for is a time like 30s/],
  [['shop/cart', '--limit', '0'], /--limit is a whole number/],
  [['shop/cart', '-o', 'none/calls'], /cannot be written/],
])('%j is wrong usage', async (args, message) => {
  const { io } = await folderOf({});
  const out = io();
  expect(await record(args, out, openFake([{ pod: 'a', lines: [] }]))).toBe(2);
  expect(out.err()).toMatch(message);
});

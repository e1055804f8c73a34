// The ring of failures: what it keeps, in what order, within what bound.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { CallRecord } from '#api/call-record.ts';
import { Recent, recentMax, recordBytesMax } from '#sidecar/observe/recent.ts';

const party = { namespace: 'shop', workload: 'web', principal: 'unknown' };

function recordOf(id: string, changes: Partial<CallRecord> = {}): CallRecord {
  return {
    at: '2026-01-31T12:00:00.123Z',
    reporter: 'inbound',
    id,
    traceId: '',
    method: 'GET',
    authority: 'payments',
    path: '/',
    protocol: 'HTTP/1.1',
    status: 403,
    flags: '-',
    details: '',
    grpcStatus: '',
    durationMs: 1,
    requestBytes: 0,
    responseBytes: 0,
    source: party,
    destination: party,
    port: 8080,
    service: '',
    mtls: true,
    verdict: 'deny',
    why: 'denied',
    policy: null,
    rule: null,
    place: null,
    endpoint: '',
    attempts: 0,
    route: 'default',
    ...changes,
  };
}

test('the newest is first, whether or not the ring is full', () => {
  const recent = new Recent();
  expect(recent.list(10, null)).toEqual([]);
  for (let i = 0; i < recentMax + 10; i++) {
    recent.add(recordOf(`id${i}`, { verdict: i % 2 === 0 ? 'deny' : null }), i);
    expect(recent.list(1, null)[0]?.atMs).toBe(i);
  }
  const all = recent.list(1000, null).map(({ atMs }) => atMs);
  expect(all).toEqual(Array.from({ length: recentMax }, (_, i) => recentMax + 9 - i));
  expect(recent.list(3, 'deny').map(({ atMs }) => atMs)).toEqual([264, 262, 260]);
  expect(recent.find('id9')).toBeNull();
  expect(JSON.parse(recent.find('id10') ?? '')).toMatchObject({ id: 'id10' });
});

test('a record takes at most 8 KiB, whatever its values', () => {
  const text = fc.string({ unit: 'binary', maxLength: 1024 });
  const recent = new Recent();
  fc.assert(
    fc.property(
      text,
      text,
      text,
      fc.array(text, { maxLength: 20 }),
      (path, why, details, misses) => {
        const nearest = { missed: misses };
        recent.add(recordOf('x', { path, why, details, method: path, nearest, dryRun: misses }), 0);
        const [kept] = recent.list(1, null);
        expect(kept?.json.length).toBeLessThanOrEqual(recordBytesMax);
        expect(kept?.json).toMatch(/^[\x20-\x7e]*$/);
        expect(JSON.parse(kept?.json ?? '')).toMatchObject({ id: 'x', status: 403, source: party });
      },
    ),
  );
});

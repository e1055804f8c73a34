import { expect, test } from 'vitest';

import type { Service } from '#api/snapshot.ts';
import type { Query } from '#sidecar/dns/query.ts';
import { Resolver } from '#sidecar/dns/resolver.ts';
import { serviceOf, snapshotOf } from '#test/sidecar/rig.ts';

import { answersIn, answerTo, codeOf, isTruncated, question } from './messages.ts';

function entry(host: string, addresses: readonly string[]): Service {
  return { name: host, namespace: 'shop', hosts: [host], addresses, ports: [] };
}

const services: Service[] = [
  { ...serviceOf('payments', [], 'http'), addresses: ['10.96.0.7', 'fd96::7'] },
  serviceOf('replicas', [
    { address: '10.0.0.8', port: 80, identity: null },
    { address: '10.0.0.9', port: 80, identity: null },
  ]),
  serviceOf('empty', []),
  entry('api.example.com', ['240.240.1.2', '2001:2::102']),
  entry('*.wild.example.com', ['10.9.0.1']),
  entry('plain.wild.example.com', []),
  entry('block.example.com', ['10.1.0.0/16']),
];

interface Rig {
  readonly resolver: Resolver;
  /** Names that others were asked for. */
  readonly asked: (string | null)[];
}

function rig(ipv6 = true, answers = true): Rig {
  const asked: (string | null)[] = [];
  const snapshot = snapshotOf({ services });
  const ask = async (query: Query): Promise<Buffer | null> => {
    asked.push(query.host);
    return answers ? answerTo(query.bytes, { code: 3 }) : null;
  };
  const resolver = new Resolver({
    snapshot: () => snapshot,
    search: 'shop.svc.cluster.local',
    families: { ipv4: true, ipv6 },
    nameservers: { ask },
  });
  return { resolver, asked };
}

async function answer(
  { resolver }: Rig,
  name: string,
  type = 1,
  payload?: number,
): Promise<Buffer> {
  const bytes = await resolver.answer(question(name, { type, payload }), 'udp');
  if (bytes === null) throw new Error('no answer');
  return bytes;
}

/** The addresses in an answer, as their bytes are at its end. */
function ends(message: Buffer, bytes: readonly number[]): boolean {
  return message.subarray(-bytes.length).equals(Buffer.from(bytes));
}

test.each([
  ['payments.shop.svc.cluster.local', [10, 96, 0, 7]],
  ['PAYMENTS.shop.svc', [10, 96, 0, 7]],
  ['payments.shop', [10, 96, 0, 7]],
  ['payments', [10, 96, 0, 7]],
  ['api.example.com', [240, 240, 1, 2]],
  ['any.wild.example.com', [10, 9, 0, 1]],
])('%s is answered by the mesh', async (name, address) => {
  const all = rig();
  const bytes = await answer(all, name);
  expect([codeOf(bytes), answersIn(bytes), all.asked]).toEqual([0, 1, []]);
  expect(ends(bytes, address)).toBe(true);
});

test.each(['other.example.com', 'empty.shop.svc.cluster.local', 'block.example.com'])(
  '%s is asked for elsewhere, and what is said there is passed on',
  async (name) => {
    const all = rig();
    const bytes = await answer(all, name);
    expect([codeOf(bytes), all.asked]).toEqual([3, [name]]);
  },
);

test('a host that is named itself is none of the wildcard that covers it', async () => {
  const all = rig();
  await answer(all, 'plain.wild.example.com');
  expect(all.asked).toEqual(['plain.wild.example.com']);
});

test('a family that a host has no address of is answered with nothing, not with no such name', async () => {
  const all = rig();
  const bytes = await answer(all, 'any.wild.example.com', 28);
  expect([codeOf(bytes), answersIn(bytes), all.asked]).toEqual([0, 0, []]);
});

test('automatic addresses of a family that the pod has not are left out, and real ones are not', async () => {
  const all = rig(false);
  expect(answersIn(await answer(all, 'api.example.com', 28))).toBe(0);
  expect(answersIn(await answer(all, 'api.example.com', 1))).toBe(1);
  expect(answersIn(await answer(all, 'payments', 28))).toBe(1);
});

test('records other than addresses are asked for elsewhere', async () => {
  const all = rig();
  await answer(all, 'api.example.com', 16);
  expect(all.asked).toEqual(['api.example.com']);
});

test('the addresses of a headless Service take turns at being first', async () => {
  const all = rig();
  const [one, two] = [await answer(all, 'replicas'), await answer(all, 'replicas')];
  expect(answersIn(one)).toBe(2);
  expect(one.equals(two)).toBe(false);
});

test('the first name that a search list makes of one is answered at once', async () => {
  const all = rig();
  const bytes = await answer(all, 'api.example.com.shop.svc.cluster.local');
  expect([codeOf(bytes), answersIn(bytes), all.asked]).toEqual([0, 2, []]);
  expect(bytes.includes(Buffer.from('\x03api\x07example\x03com\x00', 'latin1'))).toBe(true);
});

test('an answer that is too long for UDP is to be asked for by TCP', async () => {
  const endpoints = Array.from({ length: 100 }, (_, i) => ({
    address: `10.0.1.${i}`,
    port: 80,
    identity: null,
  }));
  const snapshot = snapshotOf({ services: [serviceOf('many', endpoints)] });
  const resolver = new Resolver({
    snapshot: () => snapshot,
    search: '',
    families: { ipv4: true, ipv6: true },
    nameservers: { ask: async () => null },
  });
  const byUdp = await resolver.answer(question('many', { payload: 1232 }), 'udp');
  expect(byUdp !== null && isTruncated(byUdp)).toBe(true);
  const byTcp = await resolver.answer(question('many', { payload: 1232 }), 'tcp');
  expect(byTcp !== null && answersIn(byTcp)).toBe(100);
});

test('where no name server answers, it is said', async () => {
  expect(codeOf(await answer(rig(true, false), 'other.example.com'))).toBe(2);
});

test('more questions than can wait at once are refused, and no more when they are answered', async () => {
  const pending: (() => void)[] = [];
  const resolver = new Resolver({
    snapshot: () => null,
    search: '',
    families: { ipv4: true, ipv6: true },
    nameservers: {
      ask: (query) => new Promise((resolve) => pending.push(() => resolve(answerTo(query.bytes)))),
    },
  });
  const waiting = Array.from({ length: 512 }, () => resolver.answer(question('a.b'), 'udp'));
  const refused = await resolver.answer(question('a.b'), 'udp');
  expect(refused === null ? null : codeOf(refused)).toBe(2);
  for (const end of pending) end();
  await Promise.all(waiting);
  void resolver.answer(question('a.b'), 'udp');
  expect(pending).toHaveLength(513);
});

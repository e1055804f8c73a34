import { afterEach, expect, test } from 'vitest';

import { Nameservers } from '#sidecar/dns/nameservers.ts';
import { readQuery, type Query } from '#sidecar/dns/query.ts';
import { freePort } from '#test/free-port.ts';

import { answerTo, codeOf, question } from './messages.ts';
import { nameServer, type NameServer } from './name-server.ts';

const servers: NameServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serving(...args: Parameters<typeof nameServer>): Promise<NameServer> {
  const server = await nameServer(...args);
  servers.push(server);
  return server;
}

function asking(timeoutMs: number, ...ports: number[]): Nameservers {
  return new Nameservers(
    ports.map((port) => ({ host: '127.0.0.1', port })),
    timeoutMs,
  );
}

function query(): Query {
  const read = readQuery(question('api.example.com', { id: 99 }));
  if (read?.kind !== 'query') throw new Error('it is no question');
  return read;
}

test.each(['udp', 'tcp'] as const)(
  'an answer by %s comes with the number that was asked with',
  async (transport) => {
    const seen: number[] = [];
    const { port } = await serving((bytes, by) => {
      expect(by).toBe(transport);
      seen.push(bytes.readUInt16BE(0));
      return [answerTo(bytes, { code: 3 })];
    });
    const answer = await asking(5000, port).ask(query(), transport);
    expect(answer?.readUInt16BE(0)).toBe(99);
    expect(answer && codeOf(answer)).toBe(3);
    expect(seen).toHaveLength(1);
  },
);

test('each question has a number and a port of its own', async () => {
  const numbers = new Set<number>();
  const server = await serving((bytes) => {
    numbers.add(bytes.readUInt16BE(0));
    return [answerTo(bytes)];
  });
  const all = asking(5000, server.port);
  await Promise.all(Array.from({ length: 50 }, () => all.ask(query(), 'udp')));
  expect(numbers.size).toBeGreaterThan(45);
  expect(new Set(server.sources).size).toBeGreaterThan(45);
});

test('what is no answer to the question is waited past', async () => {
  const { port } = await serving((bytes) => [
    answerTo(bytes, { id: bytes.readUInt16BE(0) ^ 1 }),
    answerTo(question('evil.example.com', { id: bytes.readUInt16BE(0) })),
    Buffer.from('nonsense'),
    answerTo(bytes, { code: 3 }),
  ]);
  const answer = await asking(5000, port).ask(query(), 'udp');
  expect(answer && codeOf(answer)).toBe(3);
});

test('a server that is gone, silent or of no use leaves the question to the next, which is asked first from then on', async () => {
  let asked = 0;
  const useless = await serving((bytes) => {
    asked += 1;
    return [answerTo(bytes, { code: 2 })];
  });
  const silent = await serving(() => []);
  const good = await serving((bytes) => [answerTo(bytes)]);
  const all = asking(1200, useless.port, silent.port, await freePort(), good.port);
  const answer = await all.ask(query(), 'udp');
  expect(answer && codeOf(answer)).toBe(0);
  await all.ask(query(), 'udp');
  expect(asked).toBe(1);
});

test('where all are of no use, what the last one says is passed on', async () => {
  const { port } = await serving((bytes) => [answerTo(bytes, { code: 5 })]);
  const answer = await asking(5000, port, await freePort()).ask(query(), 'udp');
  expect(answer && codeOf(answer)).toBe(5);
});

test.each(['udp', 'tcp'] as const)(
  'nobody there is no answer by %s, and is known at once',
  async (transport) => {
    expect(await asking(60_000, await freePort()).ask(query(), transport)).toBeNull();
  },
);

// A constant load through a caller's sidecar, whose answers are counted, and a dice that falls the same way each time.
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Tally {
  good: number;
  /** By status and text; a connection that broke is `0`. */
  readonly bad: Map<string, number>;
}

/** Numbers from 0 to below 1 (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Asks until `untilMs` (of performance.now()), from some callers at once, each with a pause after each answer. */
export async function load(
  port: number,
  url: string,
  callers: number,
  untilMs: number,
): Promise<Tally> {
  const agent = new Agent({ keepAlive: true, maxSockets: callers });
  const tally: Tally = { good: 0, bad: new Map() };
  const caller = async (_: unknown, number: number): Promise<void> => {
    for (let i = number; performance.now() < untilMs; i += 1) {
      const body = i % 4 === 0 ? 'b'.repeat(1 + ((i * 977) % 9000)) : '';
      const got = await ask(agent, port, url, body);
      if (got === `200 took ${body.length}`) tally.good += 1;
      else tally.bad.set(got, (tally.bad.get(got) ?? 0) + 1);
      await sleep(3);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  agent.destroy();
  return tally;
}

/** Callers that go before their answer is there, whenever that is. */
export async function leave(
  port: number,
  url: string,
  random: () => number,
  untilMs: number,
): Promise<void> {
  while (performance.now() < untilMs) {
    const asked = request({ agent: false, host: '127.0.0.1', port, path: url, method: 'POST' });
    asked.on('error', () => undefined);
    asked.on('response', (response) => response.resume());
    asked.write('half');
    if (random() < 0.7) asked.end();
    await sleep(random() * 40);
    asked.destroy();
  }
}

function ask(agent: Agent, port: number, url: string, body: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const method = body === '' ? 'GET' : 'POST';
  const headers = { host: new URL(url).host, 'content-length': body.length };
  const asked = request(
    { agent, host: '127.0.0.1', port, path: url, method, headers },
    (response) => {
      let text = '';
      response.on('data', (bytes: Buffer) => (text += bytes.toString()));
      response.on('end', () => resolve(`${response.statusCode} ${text.slice(0, 120)}`));
      response.on('error', (error) => resolve(`0 ${error.message}`));
    },
  );
  asked.on('error', (error) => resolve(`0 ${error.message}`));
  asked.end(body);
  return promise;
}

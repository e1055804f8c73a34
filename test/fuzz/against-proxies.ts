// Fuzzes with real proxies on loopback: the same bytes on every way to the application.
import { requestBytes, type Finding } from './http1.ts';
import { judge, type Stricter } from './judge.ts';
import { Random } from './random.ts';
import type { Difference } from './reading.ts';
import type { Outcome, WayName, Ways } from './ways.ts';

/**
 * A way that is silent for so long waits for more bytes. A busy machine can be silent too: what
 * differs is looked at again, with more patience.
 */
const idlesMs: readonly number[] = [120, 600, 3_000];
const concurrency = 12;

export async function fuzzWays(
  ways: Ways,
  seed: number,
  executions: number,
  report: (difference: Difference) => void,
  stricter: Stricter,
): Promise<number> {
  let next = seed;
  const work = async (): Promise<void> => {
    while (next < seed + executions) {
      const own = next++;
      const bytes = wayBytes(own);
      for (const [kind, detail] of await examineWays(ways, bytes, stricter)) {
        report({ target: 'proxies', kind, detail, bytes, seed: own });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, executions) }, work));
  // A hidden request may reach the application after the answer to what hid it.
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (const [way, wrong, bytes] of ways.takeLate()) {
    report({ target: 'proxies', kind: `${way}: ${wrong}`, detail: 'late', bytes, seed });
  }
  return executions;
}

/** As `requestBytes`; the last request asks to close, so that its answer is the end. */
function wayBytes(seed: number): Buffer {
  const text = requestBytes(new Random(seed));
  return Buffer.from(text.replace(/\r\n\r\n$/, '\r\nConnection: close\r\n\r\n'), 'latin1');
}

export async function examineWays(
  ways: Ways,
  bytes: Buffer,
  stricter: Stricter,
): Promise<Finding[]> {
  for (const patienceMs of idlesMs) {
    const counts: Stricter = new Map();
    const findings = judge(await sendAll(ways, bytes, patienceMs), counts);
    // A hidden request is one however rarely it shows; silence may be the machine's.
    const certain = findings.filter(([kind]) => !kind.includes('wait'));
    if (findings.length === 0 || patienceMs === idlesMs.at(-1)) {
      for (const [name, count] of counts) stricter.set(name, (stricter.get(name) ?? 0) + count);
      return findings;
    }
    if (certain.some(([kind]) => kind.includes('>'))) return certain;
  }
  return [];
}

async function sendAll(ways: Ways, bytes: Buffer, idleMs: number): Promise<Map<WayName, Outcome>> {
  const outcomes = await Promise.all(ways.names.map((way) => ways.send(way, bytes, idleMs)));
  return new Map(ways.names.map((way, i) => [way, outcomes[i]!]));
}

// Addresses of endpoints that are names: looked up while they are called, as often as their TTL says.
import { promises as dns } from 'node:dns';
import { isIP } from 'node:net';

export interface Answer {
  readonly addresses: readonly string[];
  readonly ttlMs: number;
}

export type LookUp = (name: string) => Promise<Answer>;

const ttlMsMin = 5_000;
const ttlMsMax = 60_000;
/** A name that nobody called for so long is not looked up any more. */
const idleMs = 300_000;

interface Known {
  /** Of the last answer that had some; empty: there was none yet. */
  addresses: readonly string[];
  timer: NodeJS.Timeout | null;
}

/** Names of one cluster. */
export class Resolution {
  /** Of each look-up only its first address counts. */
  readonly #firstOnly: boolean;
  readonly #lookUp: LookUp;
  readonly #changed: () => void;
  readonly #warn: (name: string, error: unknown) => void;
  #names = new Map<string, Known>();
  #usedAtMs = -Infinity;

  /** @param changed a name has other addresses than before */
  constructor(
    firstOnly: boolean,
    changed: () => void,
    warn: (name: string, error: unknown) => void,
    lookUp: LookUp = lookUpByDns,
  ) {
    this.#firstOnly = firstOnly;
    this.#changed = changed;
    this.#warn = warn;
    this.#lookUp = lookUp;
  }

  /** What is known of a name; empty where nothing is. */
  addressesOf(name: string): readonly string[] {
    return this.#names.get(name)?.addresses ?? [];
  }

  /** Names from now on; addresses of those that stay are kept. */
  take(names: readonly string[]): void {
    const before = this.#names;
    this.#names = new Map(
      names
        .filter((name) => isIP(name) === 0)
        .map((name) => [name, before.get(name) ?? { addresses: [], timer: null }]),
    );
    for (const [name, { timer }] of before) {
      if (!this.#names.has(name) && timer !== null) clearTimeout(timer);
    }
    if (performance.now() - this.#usedAtMs < idleMs) this.use();
  }

  /** The cluster is called: what is not being looked up begins to be. */
  use(): void {
    this.#usedAtMs = performance.now();
    for (const [name, known] of this.#names) {
      if (known.timer === null) void this.#refresh(name, known);
    }
  }

  close(): void {
    for (const { timer } of this.#names.values()) if (timer !== null) clearTimeout(timer);
    this.#names.clear();
  }

  async #refresh(name: string, known: Known): Promise<void> {
    // Nobody else begins while this one waits for its answer.
    known.timer = setTimeout(() => undefined, ttlMsMax).unref();
    let ttlMs = ttlMsMin;
    try {
      const answer = await this.#lookUp(name);
      ttlMs = Math.min(Math.max(answer.ttlMs, ttlMsMin), ttlMsMax);
      this.#answered(known, answer.addresses);
    } catch (error) {
      // The last good answer stays: a name server that is down ends no service.
      this.#warn(name, error);
    }
    clearTimeout(known.timer);
    if (this.#names.get(name) !== known) return;
    known.timer = setTimeout(() => {
      known.timer = null;
      if (performance.now() - this.#usedAtMs < idleMs) void this.#refresh(name, known);
    }, ttlMs).unref();
  }

  #answered(known: Known, answer: readonly string[]): void {
    // Name servers turn their answers round: the order of all addresses says nothing.
    const addresses = this.#firstOnly ? answer.slice(0, 1) : answer.toSorted();
    if (addresses.length === 0 || addresses.join() === known.addresses.join()) return;
    known.addresses = addresses;
    this.#changed();
  }
}

/** By a name server, which tells how long an answer is good; names of this machine by the system. */
async function lookUpByDns(name: string): Promise<Answer> {
  for (const family of [4, 6] as const) {
    const asked =
      family === 4 ? dns.resolve4(name, { ttl: true }) : dns.resolve6(name, { ttl: true });
    const records = await asked.catch(() => []);
    if (records.length === 0) continue;
    const ttlMs = Math.min(...records.map(({ ttl }) => ttl)) * 1000;
    return { addresses: records.map(({ address }) => address), ttlMs };
  }
  const found = await dns.lookup(name, { all: true });
  return { addresses: found.map(({ address }) => address), ttlMs: 30_000 };
}

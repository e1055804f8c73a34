// Fuzzes what is read of a connection's first bytes: TLS hellos, and plaintext that may be HTTP.
import { isDeepStrictEqual } from 'node:util';

import { readOpening } from '#sidecar/wire/first-bytes.ts';
import { readClientHello } from '#sidecar/wire/tls-hello.ts';

/**
 * Makes hellos, whole, broken and torn into records, and reads them in pieces.
 * @returns how many of them were read as a hello
 * @throws Error with the bytes in hex when the parser throws, when the answer depends on where the
 *   bytes are split, when a name that may not reach a log does, or when a good hello is read wrong
 */
export function fuzzTlsHello(seed: number, executions: number): number {
  const random = mulberry(seed);
  let hellos = 0;
  for (let i = 0; i < executions; i += 1) {
    const wanted = makeWanted(random);
    const handshake = makeHandshake(random, wanted);
    const good = intoRecords(random, handshake);
    const bytes = random() < 0.4 ? good : mutate(random, good);
    const result = checked(bytes, () => {
      const whole = readClientHello(bytes);
      sameWhereverSplit(random, bytes, whole, readClientHello, (r) => r.kind === 'more');
      return whole;
    });
    if (bytes === good && !isDeepStrictEqual(result, { kind: 'hello', hello: wanted })) {
      throw new Error(`a good hello is read as ${JSON.stringify(result)}: ${good.toString('hex')}`);
    }
    if (result.kind !== 'hello') continue;
    hellos += 1;
    if (!/^[a-z0-9._-]{0,255}$/.test(result.hello.sni)) {
      throw new Error(`the server name ${JSON.stringify(result.hello.sni)} was let through`);
    }
  }
  return hellos;
}

/**
 * The same of `readOpening`, with bytes that begin like requests, prefaces and hellos.
 * @returns how many openings were told
 * @throws Error as fuzzTlsHello
 */
export function fuzzOpening(seed: number, executions: number): number {
  const random = mulberry(seed);
  let told = 0;
  for (let i = 0; i < executions; i += 1) {
    const bytes = makeOpening(random);
    const detectHttp = random() < 0.8;
    const read = (part: Buffer): ReturnType<typeof readOpening> => readOpening(part, detectHttp);
    const whole = checked(bytes, () => {
      const opening = read(bytes);
      sameWhereverSplit(random, bytes, opening, read, (result) => result === null);
      return opening;
    });
    if (whole !== null) told += 1;
  }
  return told;
}

/** An answer that was given stays, whatever comes after it. */
function sameWhereverSplit<T>(
  random: () => number,
  bytes: Buffer,
  whole: T,
  read: (part: Buffer) => T,
  undecided: (result: T) => boolean,
): void {
  let at = 0;
  while (at < bytes.length) {
    at += 1 + below(random, random() < 0.3 ? 4 : 80);
    const result = read(bytes.subarray(0, at));
    if (undecided(result)) continue;
    if (!isDeepStrictEqual(outcome(result), outcome(whole))) {
      throw new Error(
        `${JSON.stringify(result)} after ${at} bytes, ${JSON.stringify(whole)} at last`,
      );
    }
    return;
  }
  if (!undecided(whole)) throw new Error(`${JSON.stringify(whole)} only when read at once`);
}

/** Of several things that are wrong, the one that is named may depend on how much was read. */
function outcome(result: unknown): unknown {
  const { kind } = (result ?? {}) as { kind?: string };
  return kind === 'malformed' ? kind : result;
}

function checked<T>(bytes: Buffer, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new Error(`${String(error)}: ${bytes.toString('hex')}`, { cause: error });
  }
}

interface Wanted {
  readonly alpn: readonly string[];
  readonly sni: string;
}

const names = ['a', 'payments.shop', 'outbound_.80_._.a.b.svc.cluster.local', 'x'.repeat(255)];
const protocols = ['h2', 'http/1.1', 'istio', 'istio-http/1.1', 'p'.repeat(255)];

function makeWanted(random: () => number): Wanted {
  const sni = random() < 0.3 ? '' : pick(random, names);
  const alpn = Array.from({ length: below(random, 4) }, () => pick(random, protocols));
  return { alpn, sni };
}

/** A ClientHello (RFC 8446 section 4.1.2) with extensions that nobody knows among the others. */
function makeHandshake(random: () => number, { alpn, sni }: Wanted): Buffer {
  const extensions: Buffer[] = [];
  if (sni !== '') {
    const spelled = random() < 0.5 ? sni : sni.toUpperCase();
    const entry = Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(spelled))]);
    extensions.push(extension(0, vector(2, entry)));
  }
  if (alpn.length > 0) {
    const list = Buffer.concat(alpn.map((name) => vector(1, Buffer.from(name))));
    extensions.push(extension(16, vector(2, list)));
  }
  for (let i = below(random, 4); i > 0; i -= 1) {
    const unknown = extension(1000 + i, noise(random, below(random, 300)));
    extensions.splice(below(random, extensions.length + 1), 0, unknown);
  }
  const none = extensions.length === 0 && random() < 0.5;
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    noise(random, 32),
    vector(1, noise(random, below(random, 33))),
    vector(2, noise(random, 2 * (1 + below(random, 20)))),
    vector(1, Buffer.from([0])),
    none ? Buffer.alloc(0) : vector(2, Buffer.concat(extensions)),
  ]);
  return Buffer.concat([Buffer.from([1, 0]), vector(2, body)]);
}

function extension(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 0xff]), vector(2, body)]);
}

function vector(lengthBytes: 1 | 2, content: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(content.length, 0, lengthBytes);
  return Buffer.concat([length, content]);
}

/** In one record or several, and now and then with more of the connection behind. */
function intoRecords(random: () => number, handshake: Buffer): Buffer {
  const size = random() < 0.5 ? handshake.length : Math.ceil(handshake.length / 20);
  const records: Buffer[] = [];
  for (let at = 0; at < handshake.length; at += size) {
    const head = Buffer.from([22, 3, below(random, 4)]);
    records.push(head, vector(2, handshake.subarray(at, at + size)));
  }
  if (random() < 0.2) records.push(noise(random, below(random, 50)));
  return Buffer.concat(records);
}

/** Flips, cuts, doubles or puts in bytes: lengths above all, since they lie near the front. */
function mutate(random: () => number, good: Buffer): Buffer {
  let bytes = Buffer.from(good);
  for (let i = 1 + below(random, 3); i > 0; i -= 1) {
    const at = below(random, random() < 0.5 ? Math.min(60, bytes.length) : bytes.length);
    const kind = below(random, 5);
    if (kind < 2) bytes[at] = random() < 0.5 ? below(random, 256) : pick(random, [0, 1, 255, 22]);
    else if (kind === 2) bytes = bytes.subarray(0, at);
    else if (kind === 3) bytes = Buffer.concat([bytes, bytes.subarray(at)]);
    else bytes = Buffer.concat([bytes.subarray(0, at), noise(random, 3), bytes.subarray(at)]);
    if (bytes.length === 0) break;
  }
  return bytes;
}

const words = [
  'GET POST PRI P get OPTIONS EHLO *1 SSH-2.0 / * http:// a ? : HTTP/1.1 HTTP/2.0'.split(' '),
  [' ', ' ', ' ', ' HTTP/1.', '\r\n', '\n', '\0', '\xe9', '\t', '\r\n\r\nSM\r\n\r\n'],
  ['A'.repeat(40), 'b'.repeat(700), '/'.repeat(2100)],
].flat();

function makeOpening(random: () => number): Buffer {
  const kind = below(random, 6);
  if (kind === 0) return noise(random, 1 + below(random, 80));
  if (kind === 1) return mutate(random, Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
  if (kind === 2) {
    return mutate(random, intoRecords(random, makeHandshake(random, makeWanted(random))));
  }
  if (kind === 3) return mutate(random, Buffer.from('GET /a?b HTTP/1.1\r\nhost: a\r\n\r\n'));
  const length = 1 + below(random, 8);
  return Buffer.from(Array.from({ length }, () => pick(random, words)).join(''), 'latin1');
}

function noise(random: () => number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => below(random, 256)));
}

function pick<T>(random: () => number, from: readonly T[]): T {
  const picked = from[below(random, from.length)];
  if (picked === undefined) throw new Error('nothing to pick from');
  return picked;
}

function below(random: () => number, bound: number): number {
  return Math.floor(random() * bound);
}

/** The same numbers from the same seed: 0 to 1, 1 left out. */
function mulberry(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

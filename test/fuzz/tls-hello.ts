// Fuzzes the reader of TLS hellos: it knows what was written, asks for more of prefixes only, and ends within bounds.
import { helloBytesMax, readClientHello } from '#sidecar/wire/tls-hello.ts';

import { Random } from './random.ts';

interface Written {
  readonly bytes: Buffer;
  readonly alpn: readonly string[];
  readonly sni: string;
}

const protocols = ['h2', 'http/1.1', 'istio', 'istio-http/1.1', 'istio-h2', 'x'];
const hosts = ['a', 'a.b', 'Payments.shop.svc', 'outbound_.80_._.a.b', 'xn--a-1.', '-'];
/** Every record has at most this many bytes of the hello; their number is bounded too. */
const wireBytesMax = helloBytesMax + 4 + 64 * (5 + 16_384);
const nameBytes = /^[a-z0-9_.-]*$/;

/** @throws an input that is read wrongly, by its seed */
export function fuzzTlsHello(seed: number, executions: number): number {
  const random = new Random(seed);
  for (let i = 0; i < executions; i++) {
    random.seed(seed + i);
    const written = writeHello(random);
    const wrong = random.once(3)
      ? judge(written, random)
      : judgeHello(damage(written.bytes, random), random);
    if (wrong !== '') throw new Error(`tls-hello, seed ${seed + i}: ${wrong}`);
  }
  return executions;
}

/** What is whole is read as it was written; what is not asks for more. */
function judge({ bytes, alpn, sni }: Written, random: Random): string {
  const result = readClientHello(random.once(3) ? Buffer.concat([bytes, bytes]) : bytes);
  if (result.kind !== 'hello')
    return `a good hello is ${JSON.stringify(result)} ${bytes.toString('hex')}`;
  if (result.hello.sni !== sni.toLowerCase()) return `the name is ${result.hello.sni}`;
  if (result.hello.alpn.join() !== alpn.join())
    return `the protocols are ${result.hello.alpn.join()}`;
  const prefix = readClientHello(bytes.subarray(0, random.below(bytes.length)));
  return prefix.kind === 'more' ? '' : `a prefix is ${prefix.kind}`;
}

/** Whatever comes, '' if all is well: what was decided on a prefix stays, and a name holds no odd bytes. */
export function judgeHello(bytes: Buffer, random: Random): string {
  const whole = readClientHello(bytes);
  if (whole.kind === 'hello' && !nameBytes.test(whole.hello.sni)) return 'an odd name';
  if (whole.kind === 'hello' && whole.hello.alpn.includes('')) return 'an empty protocol';
  if (whole.kind === 'more' && bytes.length > wireBytesMax) return 'too much is waited for';
  const prefix = readClientHello(bytes.subarray(0, random.below(bytes.length + 1)));
  if (prefix.kind === 'more') return '';
  // What was malformed may be so for a second reason.
  if (prefix.kind === 'malformed' && whole.kind === 'malformed') return '';
  return JSON.stringify(prefix) === JSON.stringify(whole) ? '' : 'more bytes change the reading';
}

function damage(good: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(good);
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(bytes.length);
    bytes[at] = random.once(2) ? random.below(256) : bytes[at]! ^ (1 << random.below(8));
  }
  if (!random.once(3)) return bytes;
  const cut = random.below(bytes.length);
  return Buffer.concat([bytes.subarray(0, cut), bytes.subarray(cut + random.below(4))]);
}

function writeHello(random: Random): Written {
  const alpn = random.once(4) ? [] : [random.pick(protocols), random.pick(protocols)];
  const sni = random.once(4) ? '' : random.pick(hosts);
  const extensions: Buffer[] = [];
  if (sni !== '') {
    extensions.push(extension(0, vector(2, Buffer.concat([Buffer.of(0), vector(2, text(sni))]))));
  }
  const names = Buffer.concat(alpn.map((name) => vector(1, text(name))));
  if (alpn.length > 0) extensions.push(extension(16, vector(2, names)));
  if (random.once(2)) extensions.push(extension(43, Buffer.of(2, 3, 4)));
  if (random.once(2)) extensions.reverse();
  const body = Buffer.concat([
    Buffer.of(3, 3),
    Buffer.alloc(32, random.below(256)),
    vector(1, Buffer.alloc(random.once(2) ? 0 : 32)),
    vector(2, Buffer.of(0x13, 1, 0x13, 2)),
    vector(1, Buffer.of(0)),
    extensions.length === 0 && random.once(2) ? text('') : vector(2, Buffer.concat(extensions)),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  length[0] = 1;
  return { bytes: records(Buffer.concat([length, body]), random), alpn, sni };
}

/** In records of one size; few enough of them. */
function records(handshake: Buffer, random: Random): Buffer {
  const least = Math.ceil(handshake.length / 60);
  const size = random.once(2) ? handshake.length : least + random.below(40);
  const out: Buffer[] = [];
  for (let at = 0; at < handshake.length; at += size) {
    const part = handshake.subarray(at, at + size);
    out.push(Buffer.of(22, 3, 1, part.length >> 8, part.length & 0xff), part);
  }
  return Buffer.concat(out);
}

function extension(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type >> 8, type & 0xff), vector(2, body)]);
}

function vector(lengthBytes: 1 | 2, body: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(body.length, 0, lengthBytes);
  return Buffer.concat([length, body]);
}

function text(latin1: string): Buffer {
  return Buffer.from(latin1, 'latin1');
}

// Microseconds per head of 12 fields through HPACK, with and without a dynamic table. `node test/bench/hpack.ts`
import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import type { FieldSink } from '#sidecar/wire/http2/hpack/decoder.ts';
import { HpackEncoder } from '#sidecar/wire/http2/hpack/encoder.ts';

const rounds = 80;
const headsPerRound = 5_000;
/** Fields that are the same in each request of a caller. */
const steady: readonly (readonly [string, string])[] = [
  [':path', '/api/v1/charges'],
  [':authority', 'billing.prod.svc.cluster.local:8080'],
  ['user-agent', 'grpc-node-js/1.10.1'],
  ['accept', 'application/json'],
  ['accept-encoding', 'gzip, br'],
  ['content-type', 'application/json'],
  ['te', 'trailers'],
  ['x-forwarded-proto', 'https'],
];
/** Different in each. */
const requestIds = Array.from(
  { length: 512 },
  (_, i) => `5c2c3d2a-7d0c-4c6e-9d0e-0d8f2f5c${(0x1000 + i).toString(16)}`,
);
const traceIds = requestIds.map(
  (id) => `00-4bf92f3577b34da6a3ce929d0e0e${id.slice(-4)}-00f067aa0ba902b7-01`,
);
const out = Buffer.alloc(4_096);

/** As cheap as a sink can be. */
class Counting implements FieldSink {
  fields = 0;

  field(): void {
    this.fields++;
  }
}

function encode(encoder: HpackEncoder, at: number): number {
  let offset = encoder.begin(out, 0);
  offset = encoder.method(out, offset, 'POST');
  offset = encoder.scheme(out, offset, 'http');
  for (const [name, value] of steady) offset = encoder.text(out, offset, name, value);
  offset = encoder.text(out, offset, 'x-request-id', requestIds[at & 511]!);
  return encoder.text(out, offset, 'traceparent', traceIds[at & 511]!);
}

/** The best of several rounds, µs. */
function bestOf(run: (at: number) => void): number {
  const all: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const began = process.hrtime.bigint();
    for (let at = 0; at < headsPerRound; at++) run(at);
    all.push(Number(process.hrtime.bigint() - began) / headsPerRound / 1_000);
  }
  return Math.min(...all);
}

function measure(tableBytes: number): void {
  const encoder = new HpackEncoder(tableBytes);
  const decoder = new HpackDecoder();
  const sink = new Counting();
  const encodeUs = bestOf((at) => void encode(encoder, at));
  // A pair of its own: the decoder has to see every block.
  const fresh = new HpackEncoder(tableBytes);
  let bytes = 0;
  const bothUs = bestOf((at) => {
    bytes = encode(fresh, at);
    if (!decoder.decode(out, 0, bytes, sink)) throw new Error('not decoded');
  });
  if (sink.fields !== 12 * rounds * headsPerRound) throw new Error('fields are missing');
  console.log(
    `table of ${String(tableBytes).padStart(4)} bytes: encode ${encodeUs.toFixed(2)} us, ` +
      `encode and decode ${bothUs.toFixed(2)} us, ${bytes} bytes a head`,
  );
}

measure(4_096);
measure(0);

// Makes load, in a process of its own: connections that each send the next request when the last is answered.
//
//   node test/bench/load.ts '{"port":…,"connections":64,"seconds":2,…}'   -> one JSON line
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { readFileSync } from 'node:fs';

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** Measured only after this. */
  readonly warmSeconds: number;
  readonly method: 'GET' | 'POST';
  /** Of the request's body. */
  readonly bodyBytes: number;
  /** Absolute-form goes to a forward proxy. */
  readonly target: string;
  /** PEM files for mutual TLS; null: plaintext. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | null;
}

export interface LoadResult {
  readonly requests: number;
  /** Other answers than 200, and broken connections. */
  readonly failures: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** process.hrtime of the first and last measured moment, ns, as text: the CPU is read at the same moments. */
  readonly seconds: number;
}

const latencyBuckets = 20_000;
/** One bucket. */
const bucketMs = 0.05;

if (process.argv[1]?.endsWith('load.ts') === true) {
  run(JSON.parse(process.argv[2] ?? '{}') as LoadOptions);
}

function run(options: LoadOptions): void {
  const histogram = new Uint32Array(latencyBuckets);
  const state = { requests: 0, failures: 0, measuring: false, over: false };
  const request = requestOf(options);
  for (let i = 0; i < options.connections; i += 1) open(options, request, histogram, state);
  const startedAt = { ms: 0 };
  setTimeout(() => {
    state.measuring = true;
    startedAt.ms = performance.now();
    process.send?.('begin');
  }, options.warmSeconds * 1000);
  setTimeout(
    () => {
      process.send?.('end');
      state.over = true;
      const seconds = (performance.now() - startedAt.ms) / 1000;
      const { requests, failures } = state;
      const result: LoadResult = {
        requests,
        failures,
        p50Ms: quantile(histogram, requests, 0.5),
        p99Ms: quantile(histogram, requests, 0.99),
        seconds,
      };
      process.send?.(result, () => process.exit(0));
    },
    (options.warmSeconds + options.seconds) * 1000,
  );
}

interface LoadState {
  requests: number;
  failures: number;
  measuring: boolean;
  over: boolean;
}

function open(
  options: LoadOptions,
  request: Buffer,
  histogram: Uint32Array,
  state: LoadState,
): void {
  const socket = socketOf(options);
  let sentAtMs = 0;
  /** Bytes of the present answer still to come; -1: its head is not read yet. */
  let left = -1;
  let head = '';
  const send = (): void => {
    sentAtMs = performance.now();
    socket.write(request);
  };
  socket.once(options.tls === null ? 'connect' : 'secureConnect', send);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    if (state.over) return;
    if (state.measuring) state.failures += 1;
    setTimeout(() => open(options, request, histogram, state), 50);
  });
  socket.on('data', (chunk: Buffer) => {
    let from = 0;
    if (left < 0) {
      const end = chunk.indexOf('\r\n\r\n');
      if (end < 0) {
        head += chunk.toString('latin1');
        return;
      }
      head += chunk.toString('latin1', 0, end + 4);
      from = end + 4;
      left = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      if (!head.startsWith('HTTP/1.1 200') && state.measuring) state.failures += 1;
      head = '';
    }
    left -= chunk.length - from;
    if (left > 0) return;
    left = -1;
    if (state.measuring && !state.over) {
      state.requests += 1;
      const bucket = Math.floor((performance.now() - sentAtMs) / bucketMs);
      const at = Math.min(bucket, latencyBuckets - 1);
      histogram[at] = (histogram[at] ?? 0) + 1;
    }
    if (!state.over) send();
  });
}

function socketOf({ port, tls }: LoadOptions): Socket {
  if (tls === null) return connectTcp({ host: '127.0.0.1', port, noDelay: true });
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    ca: readFileSync(tls.ca),
    cert: readFileSync(tls.cert),
    key: readFileSync(tls.key),
    servername: 'outbound_.8080_._.server.bench.svc.cluster.local',
    ALPNProtocols: ['istio-http/1.1', 'istio', 'http/1.1'],
    // The load does not judge the proxy's name; the pair's sidecars do.
    checkServerIdentity: () => undefined,
  });
  socket.setNoDelay(true);
  return socket;
}

function requestOf({ method, target, bodyBytes }: LoadOptions): Buffer {
  const length = bodyBytes === 0 ? '' : `content-length: ${bodyBytes}\r\n`;
  const head =
    `${method} ${target} HTTP/1.1\r\nhost: server.bench:8080\r\nuser-agent: bench/1.0\r\n` +
    `accept: application/json\r\naccept-encoding: gzip, br\r\n${length}\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.alloc(bodyBytes, 'q')]);
}

function quantile(histogram: Uint32Array, total: number, q: number): number {
  let seen = 0;
  for (let i = 0; i < histogram.length; i += 1) {
    seen += histogram[i] ?? 0;
    if (seen >= total * q) return (i + 1) * bucketMs;
  }
  return Number.NaN;
}

// What is measured, as data: each row is one table of results, a line for each proxy.
import type { LoadOptions } from './load/options.ts';
import type { Carries, Setup } from './proxies/proxy.ts';

/** Scenarios of a group with one setup share their proxies' processes; the command line names groups. */
export type Group =
  | 'inbound'
  | 'http2'
  | 'grpc'
  | 'pair'
  | 'latency'
  | 'connections'
  | 'tcp'
  | 'handshakes'
  | 'workers';

export interface Scenario {
  readonly group: Group;
  readonly name: string;
  readonly setup: Setup;
  readonly carries: Carries;
  readonly workers: number;
  readonly speaks: LoadOptions['speaks'];
  readonly method: LoadOptions['method'];
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly connections: number;
  /** At a time on each connection. */
  readonly streams: number;
  /** null: as many as it takes. */
  readonly perSecond: number | null;
  readonly resume: boolean;
  /** Part of --quick. */
  readonly isMain: boolean;
}

const kb = 1024;
const base = {
  group: 'inbound',
  setup: 'inbound',
  carries: 'http',
  workers: 1,
  speaks: 'http1',
  method: 'GET',
  requestBytes: 0,
  responseBytes: kb,
  connections: 64,
  streams: 1,
  perSecond: null,
  resume: false,
  isMain: false,
} as const;
const pair = { ...base, group: 'pair', setup: 'pair' } as const;
/** As many calls at a time as with 64 connections of HTTP/1.1. */
const http2 = { ...base, group: 'http2', speaks: 'http2', connections: 8, streams: 8 } as const;
const grpc = {
  ...http2,
  group: 'grpc',
  carries: 'grpc',
  speaks: 'grpc',
  method: 'POST',
  requestBytes: kb,
} as const;
const tcp = {
  ...base,
  group: 'tcp',
  carries: 'tcp',
  speaks: 'tcp',
  requestBytes: 64 * kb,
  connections: 16,
} as const;
const handshakes = {
  ...base,
  group: 'handshakes',
  speaks: 'handshakes',
  responseBytes: 0,
  connections: 8,
} as const;
const post = (bytes: number) => ({
  method: 'POST' as const,
  requestBytes: bytes,
  responseBytes: kb,
});
const main = { isMain: true } as const;

export const scenarios: readonly Scenario[] = [
  { ...base, ...main, name: 'GET 1 KB' },
  { ...base, ...post(kb), name: 'POST 1 KB' },
  { ...base, ...main, name: 'GET 64 KB', responseBytes: 64 * kb },
  { ...base, ...post(64 * kb), name: 'POST 64 KB' },

  { ...http2, ...main, name: 'HTTP/2 GET 1 KB' },
  { ...http2, ...post(kb), name: 'HTTP/2 POST 1 KB' },
  { ...http2, name: 'HTTP/2 GET 64 KB', responseBytes: 64 * kb },
  { ...http2, ...post(64 * kb), name: 'HTTP/2 POST 64 KB' },

  { ...grpc, ...main, name: 'gRPC 1 KB' },
  { ...grpc, setup: 'pair', name: 'gRPC 1 KB, two in a row' },

  { ...pair, ...main, name: 'GET 1 KB, two in a row' },
  { ...pair, ...post(kb), name: 'POST 1 KB, two in a row' },
  { ...pair, name: 'GET 64 KB, two in a row', responseBytes: 64 * kb },
  { ...pair, ...post(64 * kb), name: 'POST 64 KB, two in a row' },

  { ...base, group: 'latency', name: 'GET 1 KB at 1,500/s', perSecond: 1500 },
  { ...pair, group: 'latency', name: 'GET 1 KB at 750/s, two in a row', perSecond: 750 },

  { ...base, group: 'connections', name: 'GET 1 KB, 1 connection', connections: 1 },
  {
    ...http2,
    group: 'connections',
    name: 'HTTP/2 GET 1 KB, 1 connection',
    connections: 1,
    streams: 64,
  },
  { ...base, group: 'connections', name: 'GET 1 KB, 1,000 connections', connections: 1000 },
  {
    ...http2,
    group: 'connections',
    name: 'HTTP/2 GET 1 KB, 1,000 connections',
    connections: 1000,
    streams: 1,
  },

  { ...tcp, name: 'TCP 64 KB blocks' },
  { ...tcp, setup: 'pair', name: 'TCP 64 KB blocks, two in a row' },

  { ...handshakes, ...main, name: 'full handshake' },
  { ...handshakes, ...main, name: 'resumed handshake', resume: true },

  { ...base, group: 'workers', name: 'GET 1 KB, 2 workers', workers: 2 },
];

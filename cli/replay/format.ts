// Reads files of recorded decisions: JSON, plain or compressed, a list of cases each.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';

import type { Decision } from '#policy/verdict.ts';
import type { RecordedCall } from '#policy/judge/call.ts';

/** Policies, a workload, and what was decided about each request. */
export interface ReplayCase {
  readonly name: string;
  /** The part of MeshConfig that matters, without defaults. */
  readonly meshConfig: Readonly<Record<string, unknown>>;
  readonly workload: ReplayWorkload;
  /** YAML documents, the oldest first. */
  readonly policies: readonly string[];
  /** YAML documents beside the policies: the ServiceEntry of an authorizer. */
  readonly extraResources?: readonly string[];
  /** Policies that the webhook refuses are in force all the same. */
  readonly admitInvalid?: boolean;
  readonly requests: readonly (RecordedCall & { readonly id: string })[];
  /** One for each request, in the same order. */
  readonly expected: readonly Expected[];
  /** No decision could be recorded. */
  readonly oracleError?: string;
}

interface ReplayWorkload {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly ip: string;
  /** protocol: HTTP, HTTP2, GRPC, TCP; '' = detected. */
  readonly ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly protocol: string;
  }[];
}

export interface Expected {
  readonly decision: Decision;
  readonly status?: number;
  /** Envoy's response code details. */
  readonly details?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly remoteIp?: string;
  /** `true`: an AUDIT rule matched. */
  readonly audit?: string;
  /** HTTP bytes that the TCP rules let pass. */
  readonly as?: 'tcp';
}

/** A file that cannot be replayed; the message says which and why. */
export class ReplayFileError extends Error {
  override readonly name = 'ReplayFileError';
}

/**
 * The cases of a file, or of all files of a folder.
 * @throws ReplayFileError
 */
export function readReplayCases(path: string): ReplayCase[] {
  const cases: ReplayCase[] = [];
  for (const file of listFiles(path)) {
    const parsed = parse(file, decompress(file, read(file)));
    for (const [index, one] of parsed.entries()) cases.push(checkCase(one, file, index));
  }
  return cases;
}

const readable = /\.json(?:\.gz|\.br)?$/;

function listFiles(path: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new ReplayFileError(`${path}: there is no such file`);
  if (!stats.isDirectory()) return [path];
  const names = readdirSync(path).filter((name) => readable.test(name));
  if (names.length === 0)
    throw new ReplayFileError(`${path}: no .json, .json.gz or .json.br in it`);
  return names.toSorted().map((name) => join(path, name));
}

function read(file: string): Buffer {
  if (!readable.test(basename(file))) {
    throw new ReplayFileError(
      `${file}: its name ends in none of .json, .json.gz and .json.br; what selvage record wrote is replayed with --policies NEW`,
    );
  }
  return attempt(file, 'cannot be read', () => readFileSync(file));
}

/** 1 GiB is far more than any recording; it stops a small file that would fill the memory. */
const textBytesMax = 2 ** 30;

function decompress(file: string, bytes: Buffer): string {
  const options = { maxOutputLength: textBytesMax };
  const plain = attempt(file, 'cannot be decompressed', () => {
    if (file.endsWith('.gz')) return gunzipSync(bytes, options);
    return file.endsWith('.br') ? brotliDecompressSync(bytes, options) : bytes;
  });
  return plain.toString('utf8');
}

function parse(file: string, text: string): unknown[] {
  const value: unknown = attempt(file, 'is not JSON', () => JSON.parse(text) as unknown);
  if (Array.isArray(value)) return value;
  throw new ReplayFileError(`${file}: a list of cases was expected`);
}

function attempt<Value>(file: string, what: string, action: () => Value): Value {
  try {
    return action();
  } catch (error) {
    throw new ReplayFileError(`${file} ${what}: ${String(error)}`, { cause: error });
  }
}

/** Checks what the rest of the replay relies on. */
function checkCase(value: unknown, file: string, index: number): ReplayCase {
  const one = value as Partial<ReplayCase> | null;
  const fail = (what: string): never => {
    throw new ReplayFileError(`${file}: case ${one?.name ?? index}: ${what}`);
  };
  if (typeof one !== 'object' || one === null) return fail('an object was expected');
  if (typeof one.name !== 'string') return fail('name is missing');
  const { policies = [], requests, expected = [], meshConfig = {}, workload } = one;
  if (!Array.isArray(policies) || !policies.every((text) => typeof text === 'string')) {
    return fail('policies: a list of YAML texts was expected');
  }
  if (!Array.isArray(requests)) return fail('requests: a list was expected');
  if (one.oracleError === undefined && expected.length !== requests.length) {
    return fail(`${requests.length} requests and ${expected.length} expected decisions`);
  }
  const ports: unknown = workload?.ports;
  if (typeof workload?.namespace !== 'string' || !Array.isArray(ports)) {
    return fail('workload: namespace and ports are needed');
  }
  for (const [at, call] of requests.entries()) {
    if (!isCall(call)) return fail(`request ${at} is not as the format wants it`);
  }
  return { ...(one as ReplayCase), policies, expected, meshConfig };
}

function isCall(value: unknown): value is RecordedCall {
  const call = value as Partial<RecordedCall> | null;
  if (typeof call !== 'object' || call === null) return false;
  const { method, path, host, headers, sni, alpn, source, destination } = call;
  const texts = [method, path, sni, destination?.ip, source?.ip, source?.identity ?? ''];
  return (
    texts.every((text) => text === undefined || typeof text === 'string') &&
    typeof source?.ip === 'string' &&
    source.identity !== undefined &&
    typeof destination?.ip === 'string' &&
    Number.isInteger(destination.port) &&
    [host ?? []].flat().every((one) => typeof one === 'string') &&
    (alpn ?? []).every((one) => typeof one === 'string') &&
    (headers ?? []).every((line) => line.length === 2 && line.every((t) => typeof t === 'string'))
  );
}

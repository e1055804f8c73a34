// Files of recorded calls: newline-delimited JSON, a header first, then a call a line.
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { CallFacts, CallRecord } from '#api/call-record.ts';
import type { Workload } from '#api/workload.ts';

import { CallError } from '../calls/failure.ts';

export interface RecordingHeader {
  readonly selvage: 'recording';
  readonly version: 1;
  /** `the mesh of manifests/examples/shop (pid 12)`. */
  readonly mesh: string;
  /** RFC 3339. */
  readonly begunAt: string;
  /** Of those whose calls are recorded: labels and ports, so that policies can be attached to them. */
  readonly workloads: readonly Workload[];
}

export interface Recording {
  readonly header: RecordingHeader;
  readonly calls: readonly CallRecord[];
}

/** 512 MiB is some hundred thousand calls; it stops a file that would fill the memory. */
const bytesMax = 512 * 1024 * 1024;

/** Whether a file begins as a recording does; recorded decisions of Envoy begin otherwise. */
export function isRecording(text: string): boolean {
  return text.startsWith('{"selvage":"recording"');
}

/** All calls of several files. @throws CallError that names file and line */
export async function readRecordings(files: readonly string[], cwd: string): Promise<Recording> {
  const read: Recording[] = [];
  for (const file of files) read.push(parseRecording(await textOf(file, cwd), file));
  const [first] = read;
  if (first === undefined) throw new CallError('give a file that selvage record wrote');
  const workloads = new Map(
    read.flatMap(({ header }) =>
      header.workloads.map((one) => [`${one.namespace}/${one.name}`, one] as const),
    ),
  );
  const header = { ...first.header, workloads: [...workloads.values()] };
  return { header, calls: read.flatMap(({ calls }) => calls) };
}

/** A last line without its end, of a recording that was cut off, is left out. @throws CallError for all else that is odd */
export function parseRecording(text: string, file: string): Recording {
  const lines = text.split('\n');
  const last = lines.pop() ?? '';
  if (last !== '' && isJson(last)) lines.push(last);
  const [first = '', ...others] = lines;
  const header = headerOf(isRecording(first) ? parseLine(first, file, 1) : null, file);
  const calls = others.flatMap((line, i) =>
    line.trim() === '' ? [] : [callOf(parseLine(line, file, i + 2), file, i + 2)],
  );
  return { header, calls };
}

async function textOf(file: string, cwd: string): Promise<string> {
  try {
    const path = resolve(cwd, file);
    if ((await stat(path)).size > bytesMax) {
      throw new CallError(
        `${file} has more than ${bytesMax / 1024 / 1024} MiB: record fewer calls`,
      );
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof CallError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`;
    throw new CallError(`${file}: ${why}`, { cause: error });
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function parseLine(line: string, file: string, at: number): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    throw new CallError(`${file}:${at}: is no JSON`);
  }
}

function headerOf(value: unknown, file: string): RecordingHeader {
  const header = value as Partial<RecordingHeader> | null;
  if (header === null) throw new CallError(`${file}: is no recording: selvage record writes them`);
  if (header.version !== 1) {
    throw new CallError(`${file}: is a recording of version ${header.version}, of another selvage`);
  }
  const { mesh, begunAt, workloads } = header as Readonly<Record<string, unknown>>;
  const known = Array.isArray(workloads) ? workloads.filter(isWorkload) : [];
  return {
    selvage: 'recording',
    version: 1,
    mesh: typeof mesh === 'string' ? mesh : '',
    begunAt: typeof begunAt === 'string' ? begunAt : '',
    workloads: known,
  };
}

function isWorkload(value: unknown): value is Workload {
  const { namespace, name, labels, ports, serviceAccount } = fieldsOf(value);
  return (
    [namespace, name, serviceAccount].every((text) => typeof text === 'string') &&
    Object.values(fieldsOf(labels)).every((text) => typeof text === 'string') &&
    isListOf(ports, (one) => {
      const { port, protocol } = fieldsOf(one);
      return isPort(port) && typeof protocol === 'string';
    })
  );
}

/** What the rest relies on. */
function callOf(value: unknown, file: string, at: number): CallRecord {
  const call = fieldsOf(value);
  const fail = (field: string): never => {
    throw new CallError(`${file}:${at}: ${field} is not as a recorded call has it`);
  };
  for (const name of [
    'at',
    'reporter',
    'method',
    'path',
    'authority',
    'protocol',
    'details',
    'why',
  ]) {
    if (typeof call[name] !== 'string') fail(name);
  }
  for (const name of ['source', 'destination']) {
    const { namespace, workload, principal } = fieldsOf(call[name]);
    if (![namespace, workload, principal].every((text) => typeof text === 'string')) fail(name);
  }
  if (!isPort(call['port'])) fail('port');
  if (typeof call['mtls'] !== 'boolean') fail('mtls');
  if (!['allow', 'deny', null].includes(call['verdict'] as string | null)) fail('verdict');
  for (const name of ['policy', 'place']) {
    if (call[name] !== null && typeof call[name] !== 'string') fail(name);
  }
  if (call['facts'] !== undefined && !areFacts(call['facts'])) fail('facts');
  return value as CallRecord;
}

/** Whether verdicts can be made from it. */
export function areFacts(value: unknown): value is CallFacts {
  const { identities, sourceIp, destinationIp, sni, headers, token } = fieldsOf(value);
  const { payload } = fieldsOf(token);
  return (
    isListOf(identities, (one) => typeof one === 'string') &&
    [sourceIp, destinationIp, sni].every((text) => typeof text === 'string') &&
    isListOf(
      headers,
      (line) => isListOf(line, (t) => typeof t === 'string') && line.length === 2,
    ) &&
    (token === null || (typeof payload === 'object' && payload !== null && !Array.isArray(payload)))
  );
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as Readonly<Record<string, unknown>>) : {};
}

function isListOf(value: unknown, isOne: (one: unknown) => boolean): value is readonly unknown[] {
  return Array.isArray(value) && value.every(isOne);
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535;
}

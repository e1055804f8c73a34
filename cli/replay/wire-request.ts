// A recorded call as bytes on the wire, and its answer read back: with no parser of ours in between.
import { hostsOf, type RecordedCall } from '#policy/judge/call.ts';

/** What a TCP call sends. */
export const tcpBytes = Buffer.from('recorded bytes\n', 'latin1');

/** Line and headers exactly as recorded, each character a byte. */
export function requestBytes(call: RecordedCall): Buffer {
  const { method = 'GET', path = '/', minor = 1, headers = [] } = call;
  const lines = [
    `${method} ${path} HTTP/1.${minor}`,
    ...hostsOf(call).map((host) => `host: ${host}`),
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

export interface WireResponse {
  readonly status: number;
  /** Names lower-case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Latin-1. */
  readonly body: string;
}

/**
 * Reads a whole response from what has come so far; null: it is not whole.
 * @param text latin-1
 * @throws Error where it is no HTTP response, or framed as no recorded call needs it
 */
export function readResponse(text: string, isHead: boolean): WireResponse | null {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) throw new Error(`not a response: ${JSON.stringify(first)}`);
  if (status < 200) return readResponse(text.slice(end + 4), isHead);
  const headers = new Map(lines.map(splitLine));
  const length = Number(headers.get('content-length') ?? Number.NaN);
  if (!Number.isSafeInteger(length)) throw new Error('a response without content-length');
  const body = text.slice(end + 4);
  if (isHead) return { status, headers, body: '' };
  return body.length < length ? null : { status, headers, body: body.slice(0, length) };
}

function splitLine(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

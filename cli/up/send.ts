// One request with the very bytes that were asked for: no client library may tidy an odd path on its way.
import { connect } from 'node:net';

export interface RawCall {
  readonly host: string;
  readonly port: number;
  readonly method: string;
  /** The request target, latin-1: absolute-form to a proxy, else origin-form. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
  readonly timeoutMs: number;
}

export interface RawReply {
  /** 0: the connection ended without an answer. */
  readonly status: number;
  /** Lower-case names; the last value of each. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** Why there is no status: `closed`, `reset`, `timeout`. */
  readonly failure: string;
  /** Our own port, by which the peer's log names the connection; 0: it never opened. */
  readonly localPort: number;
}

/** Sends one call on a connection of its own and reads to the end. Never throws. */
export function send(call: RawCall): Promise<RawReply> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let localPort = 0;
    const socket = connect({ host: call.host, port: call.port });
    const end = (failure: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ ...parse(Buffer.concat(parts).toString('latin1'), failure), localPort });
    };
    const timer = setTimeout(() => end('timeout'), call.timeoutMs);
    socket.once('connect', () => {
      localPort = socket.localPort ?? 0;
      socket.write(headOf(call), 'latin1');
    });
    socket.on('data', (chunk: Buffer) => parts.push(chunk));
    socket.once('end', () => end('closed'));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      end(error.code === 'ECONNRESET' ? 'reset' : (error.code ?? error.message));
    });
  });
}

function headOf(call: RawCall): string {
  const body = call.body ?? '';
  const lines = call.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const length = body === '' ? '' : `content-length: ${Buffer.byteLength(body, 'latin1')}\r\n`;
  return `${call.method} ${call.target} HTTP/1.1\r\n${lines}${length}connection: close\r\n\r\n${body}`;
}

function parse(text: string, failure: string): Omit<RawReply, 'localPort'> {
  const end = text.indexOf('\r\n\r\n');
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1];
  if (status === undefined || end < 0) {
    return { status: 0, headers: new Map(), body: '', failure };
  }
  const headers = new Map<string, string>();
  for (const line of text.slice(0, end).split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const raw = text.slice(end + 4);
  const chunked = headers.get('transfer-encoding') === 'chunked';
  return { status: Number(status), headers, body: chunked ? unchunk(raw) : raw, failure: '' };
}

function unchunk(raw: string): string {
  let body = '';
  for (let at = 0; at < raw.length;) {
    const lineEnd = raw.indexOf('\r\n', at);
    const size = Number.parseInt(raw.slice(at, lineEnd), 16);
    if (!(size > 0)) break;
    body += raw.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 4 + size;
  }
  return body;
}

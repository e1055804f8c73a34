// Which calls a tap wants: read from a query, compiled once, asked of every call while the tap is open.
import type { Exchange } from '../exchange.ts';
import type { TcpSession } from '../telemetry/types.ts';

/** As data, for worker threads. Null: all of them. */
export interface TapFilter {
  readonly direction: 'inbound' | 'outbound' | null;
  readonly method: string | null;
  /** Exact, or with a `*` at its end; of the path without its query. */
  readonly path: string | null;
  /** `403`, `4xx`, `0`. */
  readonly status: string | null;
  /** Of the other end: `*` stands for any characters, anywhere. */
  readonly identity: string | null;
  /** With what verdicts are made from. */
  readonly facts: boolean;
}

export interface TapQuery {
  readonly filter: TapFilter;
  /** Records until the end; Infinity: until the client goes. */
  readonly limit: number;
}

export interface TapMatcher {
  exchange(x: Exchange): boolean;
  session(session: TcpSession): boolean;
}

const parameters: Readonly<Record<string, { readonly is: RegExp; readonly wanted: string }>> = {
  direction: { is: /^(?:in|out)bound$/, wanted: 'inbound or outbound' },
  method: { is: /^[\w!#$%&'*+.^`|~-]{1,64}$/, wanted: 'a method, as GET' },
  path: {
    is: /^[/*][^*]{0,2047}\*?$|^\*$/,
    wanted: 'a path, as /pay, or the start of one, as /pay*',
  },
  status: {
    is: /^(?:0|[1-5]\d\d|[1-5]xx)$/i,
    wanted: 'a status, as 403, or a class, as 4xx; 0: no answer',
  },
  identity: { is: /^.{1,512}$/, wanted: 'a SPIFFE ID, * for any characters in it' },
  limit: { is: /^[1-9]\d{0,8}$/, wanted: 'a whole number from 1' },
  facts: { is: /^[01]$/, wanted: '1 or 0' },
};

/** A text says what is wrong. */
export function readTapQuery(query: URLSearchParams): TapQuery | string {
  for (const [name, value] of query) {
    const parameter = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (parameter === undefined) {
      return `there is no ${JSON.stringify(name)}; there are ${Object.keys(parameters).join(', ')}`;
    }
    if (query.getAll(name).length > 1) return `${name} is given twice`;
    if (!parameter.is.test(value)) {
      return `${name} is ${parameter.wanted}, not ${JSON.stringify(value.slice(0, 100))}`;
    }
  }
  const direction = query.get('direction');
  const filter: TapFilter = {
    direction: direction === 'inbound' || direction === 'outbound' ? direction : null,
    method: query.get('method'),
    path: query.get('path'),
    status: query.get('status')?.toLowerCase() ?? null,
    identity: query.get('identity'),
    facts: query.get('facts') === '1',
  };
  return { filter, limit: Number(query.get('limit') ?? Infinity) };
}

/** Connections carried as bytes have no method, path and status: whoever asks for these wants none of them. */
export function compileTapFilter(filter: TapFilter): TapMatcher {
  const { direction, method } = filter;
  const path = filter.path === null ? null : compilePath(filter.path);
  const status = filter.status === null ? null : compileStatus(filter.status);
  const identity = filter.identity === null ? null : compileGlob(filter.identity);
  const onlyHttp = method !== null || path !== null || status !== null;
  const peers = (subject: Exchange | TcpSession): boolean =>
    (direction === null || subject.downstream.direction === direction) &&
    (identity === null || peersOf(subject).some(identity));
  return {
    exchange: (x) =>
      peers(x) &&
      (method === null || x.request.method === method) &&
      (status === null || status(x.status)) &&
      (path === null || path((x.judged ?? x.request).path)),
    session: (session) => !onlyHttp && peers(session),
  };
}

function compilePath(wanted: string): (path: string) => boolean {
  if (!wanted.endsWith('*')) return (path) => path === wanted || path.startsWith(`${wanted}?`);
  const start = wanted.slice(0, -1);
  return (path) => path.startsWith(start);
}

function compileStatus(wanted: string): (status: number) => boolean {
  if (!wanted.endsWith('xx')) return (status) => status === Number(wanted);
  const hundreds = Number(wanted[0]);
  return (status) => Math.floor(status / 100) === hundreds;
}

/** In time that is linear in text and parts, whatever the pattern. */
export function compileGlob(pattern: string): (text: string) => boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return (text) => text === pattern;
  return (text) => {
    if (!text.startsWith(first)) return false;
    let at = first.length;
    for (const part of rest) {
      const found = text.indexOf(part, at);
      if (found === -1) return false;
      at = found + part.length;
    }
    return text.length - last.length >= at && text.endsWith(last);
  };
}

function peersOf({ downstream, endpoint }: Exchange | TcpSession): readonly string[] {
  if (downstream.direction === 'inbound') return downstream.facts.identities;
  const identity = endpoint?.identity ?? null;
  return identity === null ? nobody : [identity];
}

const nobody: readonly string[] = Object.freeze([]);

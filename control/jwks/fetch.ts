// Fetches key sets over HTTP within limits: size, time, redirects, and the addresses that may be asked.
import { Agent, request } from 'undici';

import type { AddressGuard } from './addresses.ts';

/** Where the keys of an issuer are: at `uri`, or, when it is '', where the issuer's OpenID configuration says. */
export interface KeySource {
  readonly uri: string;
  readonly issuer: string;
}

export interface FetchLimits {
  readonly bodyBytesMax: number;
  readonly redirectsMax: number;
  readonly keysMax: number;
}

export const fetchLimits: FetchLimits = {
  bodyBytesMax: 1024 * 1024,
  redirectsMax: 3,
  keysMax: 200,
};

export interface Place {
  readonly address: string;
  readonly port: number;
}

/** Where a name and port of the mesh itself lead; null: it is none, and DNS is asked. */
export type PlaceOf = (host: string, port: number) => Place | null;

/** Where the mesh itself serves a source, `address:port`; null: nowhere, or it is none of its services. */
export function placeOfSource({ uri, issuer }: KeySource, placeOf: PlaceOf): string | null {
  const url = URL.parse(uri === '' ? issuer : uri);
  const place = url === null ? null : placeIn(url, placeOf);
  return place === null ? null : `${place.address}:${place.port}`;
}

/** Only plain HTTP is led to an endpoint: a certificate is for the name. */
function placeIn(url: URL, placeOf: PlaceOf): Place | null {
  return url.protocol === 'http:' ? placeOf(url.hostname, Number(url.port || '80')) : null;
}

export class KeyFetcher {
  readonly #guard: AddressGuard;
  readonly #limits: FetchLimits;
  readonly #placeOf: PlaceOf;
  readonly #agent: Agent;

  /** @param placeOf an issuer that is a Service is found without a cluster's DNS, so also on a laptop */
  constructor(
    guard: AddressGuard,
    limits: FetchLimits = fetchLimits,
    placeOf: PlaceOf = () => null,
  ) {
    this.#guard = guard;
    this.#limits = limits;
    this.#placeOf = placeOf;
    this.#agent = new Agent({
      connect: { lookup: guard.lookup },
      keepAliveTimeout: 1000,
      maxHeaderSize: 16 * 1024,
    });
  }

  /** The key set as `{"keys":[…]}`, public members only. Rejects with what went wrong. */
  async fetchKeys(source: KeySource, timeoutMs: number): Promise<string> {
    // One deadline for all steps: discovery, redirects and the bodies.
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const uri = source.uri === '' ? await this.#discover(source.issuer, signal) : source.uri;
      return readKeys(await this.#get(uri, signal), this.#limits.keysMax);
    } catch (error) {
      if (signal.aborted) throw new Error(`no answer within ${timeoutMs} ms`, { cause: error });
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** OpenID Connect Discovery 1.0 section 4, as Istio does when a rule has only an issuer. */
  async #discover(issuer: string, signal: AbortSignal): Promise<string> {
    const uri = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const found = parseObject(await this.#get(uri, signal), uri)['jwks_uri'];
    if (typeof found !== 'string') throw new Error(`${uri} names no jwks_uri`);
    return found;
  }

  async #get(uri: string, signal: AbortSignal): Promise<string> {
    let url = parseUrl(uri);
    for (let redirects = 0; ; redirects++) {
      const at = this.#addressOf(url);
      this.#guard.checkHost(at);
      const reply = await request(at, {
        dispatcher: this.#agent,
        headers: { host: url.host, accept: 'application/json', 'user-agent': 'selvage-control' },
        signal,
      });
      const { statusCode } = reply;
      if (statusCode === 200) {
        return readBody(reply.body, this.#limits.bodyBytesMax, url);
      }
      // undici reports the unread rest as an error, which nobody else listens to.
      reply.body.on('error', () => undefined).destroy();
      const location = reply.headers['location'];
      if (statusCode < 300 || statusCode > 399 || typeof location !== 'string') {
        throw new Error(`${url.href} answered ${statusCode}`);
      }
      if (redirects === this.#limits.redirectsMax) {
        throw new Error(`${uri} redirects more than ${this.#limits.redirectsMax} times`);
      }
      const next = parseUrl(location, url);
      if (url.protocol === 'https:' && next.protocol !== 'https:') {
        throw new Error(`${url.href} redirects from https to ${next.protocol}//`);
      }
      url = next;
    }
  }

  /** The URL to connect to. */
  #addressOf(url: URL): URL {
    const place = placeIn(url, this.#placeOf);
    if (place === null) return url;
    const host = place.address.includes(':') ? `[${place.address}]` : place.address;
    return new URL(`http://${host}:${place.port}${url.pathname}${url.search}`);
  }
}

async function readBody(body: AsyncIterable<Buffer>, bytesMax: number, url: URL): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop by an error destroys the body, and with it the connection.
  for await (const part of body) {
    bytes += part.length;
    if (bytes > bytesMax) throw new Error(`${url.href} sent more than ${bytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** RFC 7518 sections 6.2.2 and 6.3.2: what nobody but the issuer may have; some publish it all the same. */
const privateMembers = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth']);

/** Written anew, so that white space and order of members in what was sent make no change. */
function readKeys(text: string, keysMax: number): string {
  const { keys } = parseObject(text, 'the key set');
  if (!Array.isArray(keys)) throw new Error('the key set has no list `keys`');
  // Taken for a mistake of the issuer's: it would refuse every token.
  if (keys.length === 0) throw new Error('the key set is empty');
  if (keys.length > keysMax) throw new Error(`the key set has more than ${keysMax} keys`);
  const cleaned = keys.map((key: unknown) => {
    const members = Object.entries(asObject(key, 'a key')).filter(
      ([name]) => !privateMembers.has(name),
    );
    return Object.fromEntries(members.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
  return JSON.stringify({ keys: cleaned });
}

function parseObject(text: string, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`${what} is not JSON`);
  }
  return asObject(value, what);
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${what} is not a JSON object`);
  }
  return value as Record<string, unknown>;
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new Error(`"${text}" is no http or https address`);
  }
  return url;
}

// A thin client of the Kubernetes API: calls, patches and watches, within limits of time and size.
import { systemClock, type Clock } from '../clock.ts';
import type { ClusterAccess } from './access.ts';
import { Bearer } from './bearer.ts';
import { readText } from './body.ts';
import { KubeError, kubeErrorOf } from './kube-error.ts';
import { TimeLimit } from './time-limit.ts';
import { Transport, type TransportReply } from './transport.ts';
import { readEvents, WatchBroken } from './watch-stream.ts';

export { KubeError };

/** What is undefined is left out. */
export type Query = Readonly<Record<string, string | undefined>>;

export interface KubeMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  /** RFC 3339. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
}

export interface OwnerReference {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: KubeMeta;
  readonly [field: string]: unknown;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: KubeObject;
}

export type PatchKind = 'merge' | 'json' | 'strategic' | 'apply';

/**
 * Paths are as the API has them: `/api/v1/namespaces/x/secrets/y`, `/apis/apps/v1/deployments`. What the server refuses
 * rejects with KubeError, what never reached it or brought no answer with another Error. Nothing is tried again, but a GET
 * that the server put off (429 with Retry-After).
 */
export interface KubeClient {
  get<T>(path: string, query?: Query): Promise<T>;
  create<T>(path: string, body: object, query?: Query): Promise<T>;
  replace<T>(path: string, body: object): Promise<T>;
  /** `apply` needs `fieldManager` in the query. */
  patch<T>(path: string, body: unknown, kind: PatchKind, query?: Query): Promise<T>;
  delete(path: string, query?: Query): Promise<void>;
  /**
   * Events until the server or the signal ends it. Rejects with KubeError (410 has reason Expired, also when it comes as an
   * ERROR event), with WatchBroken for what is no event, and with another Error when the connection is cut.
   */
  watch(path: string, query: Query, signal: AbortSignal): AsyncIterable<WatchEvent>;
  /** Cuts what is under way. */
  close(): Promise<void>;
}

export interface KubeClientOptions {
  /** For a whole call, its body too; 30 s where it is left out. */
  readonly requestTimeoutMs?: number;
  /** 64 MiB where it is left out: 500 large objects. */
  readonly replyBytesMax?: number;
  /** How long a watch is asked to last; 300 to 600 s where it is left out, spread so that not all end at once. */
  readonly watchSeconds?: { readonly min: number; readonly max: number };
  /** A watch that lasts longer than it was asked to, by this, is dead; 30 s where it is left out. */
  readonly watchGraceMs?: number;
  readonly userAgent?: string;
  readonly clock?: Clock;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
}

const errorBytesMax = 64 * 1024;
const putOffMax = 5;
const retryAfterMaxMs = 30_000;

const patchTypes: Readonly<Record<PatchKind, string>> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  // JSON is YAML.
  apply: 'application/apply-patch+yaml',
};

export function createKubeClient(
  access: ClusterAccess,
  options: KubeClientOptions = {},
): KubeClient {
  return new Client(access, options);
}

class Client implements KubeClient {
  readonly #transport: Transport;
  readonly #bearer: Bearer | null;
  readonly #options: KubeClientOptions;
  readonly #clock: Clock;

  constructor(access: ClusterAccess, options: KubeClientOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#transport = new Transport(access, Math.min(this.#requestTimeoutMs, 10_000));
    this.#bearer = access.token === undefined ? null : new Bearer(access.token);
  }

  async get<T>(path: string, query?: Query): Promise<T> {
    for (let putOff = 0; ; putOff += 1) {
      try {
        return await this.#call<T>({ method: 'GET', path, query });
      } catch (error) {
        const waitMs = error instanceof KubeError && error.status === 429 && error.retryAfterMs;
        if (typeof waitMs !== 'number' || putOff === putOffMax) throw error;
        await this.#pass(Math.min(waitMs, retryAfterMaxMs));
      }
    }
  }

  create<T>(path: string, body: object, query?: Query): Promise<T> {
    return this.#call({ method: 'POST', path, query, body });
  }

  replace<T>(path: string, body: object): Promise<T> {
    return this.#call({ method: 'PUT', path, body });
  }

  patch<T>(path: string, body: unknown, kind: PatchKind, query?: Query): Promise<T> {
    return this.#call({ method: 'PATCH', path, query, body, contentType: patchTypes[kind] });
  }

  async delete(path: string, query?: Query): Promise<void> {
    await this.#call({ method: 'DELETE', path, query });
  }

  async *watch(path: string, query: Query, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    const { watchSeconds = { min: 300, max: 600 }, watchGraceMs = 30_000 } = this.#options;
    const { min, max } = watchSeconds;
    const seconds = Math.round(min + (max - min) * Math.random());
    const call: Call = {
      method: 'GET',
      path,
      query: { ...query, watch: 'true', timeoutSeconds: String(seconds) },
    };
    const limit = new TimeLimit(this.#clock, signal);
    try {
      limit.set(this.#requestTimeoutMs, `no answer within ${this.#requestTimeoutMs} ms`);
      const reply = await this.#send(call, limit.signal, true);
      if (reply.status !== 200) throw await this.#refusal(call, reply);
      const lastsMs = seconds * 1000 + watchGraceMs;
      limit.set(lastsMs, `the watch was to end by itself, and did not within ${lastsMs} ms`);
      yield* readEvents(reply.body, nameOf(call));
    } catch (error) {
      // Whoever stopped the watch wants no error of it.
      if (!signal.aborted) throw failure(call, error, limit);
    } finally {
      limit.end();
    }
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  get #requestTimeoutMs(): number {
    return this.#options.requestTimeoutMs ?? 30_000;
  }

  async #call<T>(call: Call): Promise<T> {
    const limit = new TimeLimit(this.#clock);
    limit.set(this.#requestTimeoutMs, `no answer within ${this.#requestTimeoutMs} ms`);
    try {
      const reply = await this.#send(call, limit.signal, false);
      if (reply.status < 200 || reply.status > 299) throw await this.#refusal(call, reply);
      const text = await readText(reply.body, this.#options.replyBytesMax ?? 64 * 1024 * 1024);
      // Some servers answer a DELETE with nothing.
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch (error) {
      throw failure(call, error, limit);
    } finally {
      limit.end();
    }
  }

  async #send(call: Call, signal: AbortSignal, lasting: boolean): Promise<TransportReply> {
    const headers: Record<string, string> = {
      accept: 'application/json',
      'user-agent': this.#options.userAgent ?? 'selvage',
    };
    if (call.body !== undefined) headers['content-type'] = call.contentType ?? 'application/json';
    if (this.#bearer !== null) headers['authorization'] = `Bearer ${await this.#bearer.token()}`;
    return this.#transport.send({
      method: call.method,
      path: `${call.path}${queryText(call.query)}`,
      headers,
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      signal,
      lasting,
    });
  }

  async #refusal(call: Call, reply: TransportReply): Promise<KubeError> {
    if (reply.status === 401) this.#bearer?.forget();
    const text = await readText(reply.body, errorBytesMax).catch(() => '');
    let body: unknown = { message: text };
    try {
      body = JSON.parse(text);
    } catch {
      // A proxy's page, not a Status: its text is all there is.
    }
    const seconds = Number(reply.retryAfter);
    const known = reply.retryAfter !== undefined && Number.isFinite(seconds) && seconds >= 0;
    return kubeErrorOf(nameOf(call), reply.status, body, known ? seconds * 1000 : null);
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(ms, resolve));
  }
}

function nameOf(call: Call): string {
  return `${call.method} ${call.path}`;
}

function queryText(query: Query = {}): string {
  const wanted = Object.entries(query).filter((entry): entry is [string, string] => {
    return entry[1] !== undefined;
  });
  return wanted.length === 0 ? '' : `?${new URLSearchParams(wanted).toString()}`;
}

/** What went wrong, with the call that it happened to. */
function failure(call: Call, error: unknown, limit: TimeLimit): Error {
  if (error instanceof KubeError || error instanceof WatchBroken) return error;
  if (limit.passed !== null) return new Error(`${nameOf(call)}: ${limit.passed}`, { cause: error });
  return new Error(`${nameOf(call)}: ${messageOf(error)}`, { cause: error });
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // An AggregateError of a host with several addresses has its sense in its code alone.
  const code = 'code' in error ? String(error.code) : '';
  return error.message || code || error.name;
}

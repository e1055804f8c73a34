// A Kubernetes API server for tests: objects, lists in pages, watches with a history, patches; and failures on demand.
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { ClusterAccess } from '#runtime/kubernetes/access.ts';
import type { KubeObject } from '#runtime/kubernetes/client.ts';
import { issue, makeTestCa } from '#test/tls/fixtures.ts';

import { jsonPatched, matches, merged, parsePath, type ApiPath } from './fake-objects.ts';

/** What tests give: the server fills in the rest of the metadata. */
export interface NewObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: Readonly<Record<string, unknown>> & {
    readonly name?: string;
    readonly creationTimestamp?: string;
  };
  readonly [field: string]: unknown;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly headers: IncomingMessage['headers'];
}

/** An answer in place of the server's own. `body` is JSON, a text as it is; `undefined`: the server's own answer. */
export interface FakeAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Intercept = (
  request: SeenRequest,
) => FakeAnswer | undefined | Promise<FakeAnswer | undefined>;

interface Event {
  readonly version: number;
  readonly collection: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
  /** As it was, to know who watched it. */
  readonly before: KubeObject | undefined;
}

interface Watcher {
  readonly response: ServerResponse;
  readonly path: ApiPath;
  readonly query: URLSearchParams;
}

export class FakeApi {
  /** `https://127.0.0.1:PORT` */
  readonly url: string;
  readonly caPem: string;
  /** Every request, oldest first. */
  readonly seen: SeenRequest[] = [];
  /** Asked before the server answers by itself; for status, 403, slow answers, TokenReview and the like. */
  intercept: Intercept | null = null;
  /** Collections that do not exist, as `/apis/GROUP/VERSION/RESOURCE` or `/api/v1/RESOURCE`: 404. */
  readonly missing = new Set<string>();
  /** How a version that is too old for a watch is refused: real servers do both. */
  expiredAs: 'status' | 'event' = 'event';
  /** How a line of a watch is cut into writes. */
  cut: (line: Buffer) => Buffer[] = (line) => [line];
  /** Whether it ends watches when the time is over that they asked for. */
  endsWatches = true;
  readonly #server: Server;
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #watchers = new Set<Watcher>();
  readonly #continues = new Map<string, { rest: KubeObject[]; version: number }>();
  #history: Event[] = [];
  #oldest = 0;
  #version = 100;

  /** Starts one on loopback, with a certificate of its own. */
  static async start(): Promise<FakeApi> {
    const ca = await makeTestCa('fake api server');
    const { keyPem, certPem } = await issue(ca, { ip: ['127.0.0.1'], dns: ['localhost'] });
    const server = createServer({ key: keyPem, cert: certPem });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakeApi(server, ca.certPem);
  }

  private constructor(server: Server, caPem: string) {
    this.#server = server;
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.caPem = caPem;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.#serve(request, response).catch(() => response.destroy());
    });
  }

  access(namespace = 'selvage-system', token = 'token-of-the-test'): ClusterAccess {
    const { url: server, caPem } = this;
    return { server, caPem, namespace, token: () => Promise.resolve(token) };
  }

  /** Watches that are open. */
  get watches(): number {
    return this.#watchers.size;
  }

  /**
   * Makes the object or takes its place, as a client with every right would.
   * @param collection `/api/v1/pods`, `/apis/security.istio.io/v1/authorizationpolicies`; the namespace is the object's
   */
  put(collection: string, object: NewObject): KubeObject {
    const before = this.#of(collection).get(keyOf(object));
    return this.#store(collection, object, before);
  }

  remove(collection: string, name: string, namespace = ''): void {
    const key = `${namespace}/${name}`;
    const before = this.#of(collection).get(key);
    if (before === undefined) return;
    this.#of(collection).delete(key);
    this.#version += 1;
    const metadata = { ...before.metadata, resourceVersion: String(this.#version) };
    this.#record(collection, 'DELETED', { ...before, metadata }, before);
  }

  get(collection: string, name: string, namespace = ''): KubeObject | undefined {
    return this.#of(collection).get(`${namespace}/${name}`);
  }

  list(collection: string): KubeObject[] {
    return [...this.#of(collection).values()];
  }

  /** Forgets what happened so far: watches and pages from before it get 410. */
  expire(): void {
    this.#oldest = this.#version;
    this.#history = [];
    this.#continues.clear();
    this.#version += 1;
  }

  /** Ends every watch. @param how `end`: as the server does when the time is over; `half`: in the middle of a line */
  cutWatches(how: 'end' | 'reset' | 'half' = 'reset'): void {
    for (const { response } of this.#watchers) {
      if (how === 'end') response.end();
      else if (how === 'reset') response.destroy();
      else response.write('{"type":"ADDED","obj', () => response.destroy());
    }
    this.#watchers.clear();
  }

  /** Tells every watch that allows it how far it has come. */
  bookmark(): void {
    for (const watcher of this.#watchers) {
      if (watcher.query.get('allowWatchBookmarks') !== 'true') continue;
      const metadata = { resourceVersion: String(this.#version) };
      this.#send(watcher, { type: 'BOOKMARK', object: { metadata } });
    }
  }

  /** Sends this line to every watch, as it is. */
  sendRaw(line: string): void {
    for (const { response } of this.#watchers) response.write(`${line}\n`);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    const body = await readBody(request);
    const seen: SeenRequest = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      body,
      headers: request.headers,
    };
    this.seen.push(seen);
    const answer = await this.intercept?.(seen);
    if (answer !== undefined) {
      reply(response, answer);
      return;
    }
    const path = parsePath(url.pathname);
    if (path === null || this.missing.has(path.collection)) {
      reply(response, status(404, 'NotFound', 'the server could not find the requested resource'));
    } else if (seen.method === 'GET' && path.name === null) {
      if (url.searchParams.get('watch') === 'true') this.#watch(path, url.searchParams, response);
      else reply(response, this.#list(path, url.searchParams));
    } else {
      reply(response, this.#act(path, seen));
    }
  }

  #list(path: ApiPath, query: URLSearchParams): FakeAnswer {
    const token = query.get('continue');
    const at = token === null ? null : this.#continues.get(token);
    if (at === undefined) return status(410, 'Expired', 'the continue token is too old');
    const all = at?.rest ?? this.list(path.collection).filter((o) => matches(o, path, query));
    const version = at?.version ?? this.#version;
    const limit = Number(query.get('limit') ?? Infinity);
    const items = all.slice(0, limit);
    const metadata: Record<string, string> = { resourceVersion: String(version) };
    if (all.length > limit) {
      metadata['continue'] = `${version}-${this.#continues.size}`;
      this.#continues.set(metadata['continue'], { rest: all.slice(limit), version });
    }
    return { status: 200, body: { kind: 'ThingList', apiVersion: 'v1', metadata, items } };
  }

  #watch(path: ApiPath, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion') ?? this.#version);
    if (from < this.#oldest) {
      const gone = status(410, 'Gone', `too old resource version: ${from} (${this.#oldest})`);
      if (this.expiredAs === 'status') reply(response, gone);
      else response.end(`${JSON.stringify({ type: 'ERROR', object: gone.body })}\n`);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const watcher: Watcher = { response, path, query };
    for (const event of this.#history) if (event.version > from) this.#offer(watcher, event);
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
    const seconds = Number(query.get('timeoutSeconds') ?? 300);
    setTimeout(() => this.endsWatches && response.end(), seconds * 1000).unref();
  }

  #act(path: ApiPath, request: SeenRequest): FakeAnswer {
    const { collection, namespace, subresource } = path;
    const { method, body } = request;
    const sent = (body ?? {}) as Partial<NewObject>;
    const kind = request.headers['content-type'] ?? '';
    const name = path.name ?? sent.metadata?.name ?? '';
    const present = this.#of(collection).get(`${namespace ?? ''}/${name}`);
    const creates = path.name === null || (kind.includes('apply-patch') && present === undefined);
    if (creates) {
      if (present !== undefined) return status(409, 'AlreadyExists', `${name} already exists`);
      const metadata = { ...sent.metadata, name, ...(namespace === null ? {} : { namespace }) };
      return { status: 201, body: this.#store(collection, { ...sent, metadata }, undefined) };
    }
    if (present === undefined) return status(404, 'NotFound', `${collection} "${name}" not found`);
    if (method === 'GET') return { status: 200, body: present };
    if (method === 'DELETE') {
      this.remove(collection, name, namespace ?? '');
      return { status: 200, body: { kind: 'Status', status: 'Success' } };
    }
    const wanted = sent.metadata?.['resourceVersion'];
    if (wanted !== undefined && wanted !== present.metadata.resourceVersion) {
      return status(409, 'Conflict', `the object has been modified; ${name} is newer`);
    }
    const changed = (
      method === 'PUT'
        ? sent
        : Array.isArray(body)
          ? jsonPatched(present, body)
          : merged(present, body)
    ) as NewObject;
    // The status is written through its own path, and through that nothing else.
    const next =
      subresource === 'status'
        ? { ...present, status: changed['status'] }
        : { ...changed, status: present['status'] };
    // As the real one, which keeps the version of what does not change.
    if (JSON.stringify(next) === JSON.stringify(present)) return { status: 200, body: present };
    return { status: 200, body: this.#store(collection, next as NewObject, present) };
  }

  #store(collection: string, object: NewObject, before: KubeObject | undefined): KubeObject {
    this.#version += 1;
    const { metadata: m0, status: _s0, ...content } = object;
    const { metadata: m1, status: _s1, ...oldContent } = before ?? { metadata: { name: '' } };
    const changed = JSON.stringify(content) !== JSON.stringify(oldContent);
    const metadata = {
      ...m0,
      name: m0.name ?? '',
      uid: m1.uid ?? `uid-${this.#version}`,
      generation: before === undefined ? 1 : (m1.generation ?? 1) + (changed ? 1 : 0),
      creationTimestamp: m1.creationTimestamp ?? m0.creationTimestamp ?? now(),
      resourceVersion: String(this.#version),
      managedFields: [{ manager: 'test', operation: 'Update' }],
    };
    const stored = { ...object, metadata } as KubeObject;
    this.#of(collection).set(keyOf(stored), stored);
    this.#record(collection, before === undefined ? 'ADDED' : 'MODIFIED', stored, before);
    return stored;
  }

  #record(
    collection: string,
    type: Event['type'],
    object: KubeObject,
    before: KubeObject | undefined,
  ): void {
    const event: Event = { version: this.#version, collection, type, object, before };
    this.#history.push(event);
    for (const watcher of this.#watchers) this.#offer(watcher, event);
  }

  /** To a watch with selectors, what begins or ceases to match came or went. */
  #offer(watcher: Watcher, { collection, type, object, before }: Event): void {
    const { path, query } = watcher;
    if (collection !== path.collection) return;
    const did = before !== undefined && matches(before, path, query);
    const does = type !== 'DELETED' && matches(object, path, query);
    if (!did && !does) return;
    const told = did ? (does ? 'MODIFIED' : 'DELETED') : 'ADDED';
    this.#send(watcher, { type: told, object });
  }

  #send({ response }: Watcher, event: unknown): void {
    for (const part of this.cut(Buffer.from(`${JSON.stringify(event)}\n`))) response.write(part);
  }

  #of(collection: string): Map<string, KubeObject> {
    let found = this.#objects.get(collection);
    if (found === undefined) {
      found = new Map();
      this.#objects.set(collection, found);
    }
    return found;
  }
}

/** A refusal, as the API server writes one. */
export function status(code: number, reason: string, message: string): FakeAnswer {
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
  return { status: code, body };
}

function keyOf(object: { readonly metadata: { readonly name?: string } }): string {
  const { name = '', namespace = '' } = object.metadata as { name?: string; namespace?: string };
  return `${namespace}/${name}`;
}

function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString('utf8');
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

function reply(response: ServerResponse, { status, body, headers }: FakeAnswer): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? {});
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(text);
}

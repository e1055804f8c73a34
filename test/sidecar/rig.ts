// Sidecars in this process, with real sockets and certificates, for tests of listeners.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';

import { isExtension, type ExtensionResource } from '#api/kinds/extension.ts';
import { meshConfig } from '#api/kinds/mesh-config.ts';
import { loadText } from '#api/load.ts';
import type { Endpoint, PolicyResource, Service, Snapshot } from '#api/snapshot.ts';
import type { PortProtocol } from '#api/workload.ts';
import { silentLog, type Log } from '#runtime/log.ts';
import type { Svid } from '#runtime/tls/svid.ts';
import { Connections } from '#sidecar/connections.ts';
import type { Exchange } from '#sidecar/exchange.ts';
import type { Identity } from '#sidecar/identity/identity.ts';
import { InForce } from '#sidecar/in-force.ts';
import { startInbound } from '#sidecar/inbound/inbound.ts';
import { startOutbound } from '#sidecar/outbound/outbound.ts';
import type { OriginalDestinationOf } from '#sidecar/outbound/original-destination.ts';
import type { InboundMapping, OutboundMapping } from '#sidecar/settings.ts';
import type { ConnectionRefusal, TcpSession, Telemetry } from '#sidecar/telemetry/types.ts';
import { Upstreams } from '#sidecar/upstream/upstreams.ts';
import { issue, makeTestCa, type Issued, type TestCa } from '#test/tls/fixtures.ts';

export const trustDomain = 'cluster.local';

export function spiffe(namespace: string, account: string, domain = trustDomain): string {
  return `spiffe://${domain}/ns/${namespace}/sa/${account}`;
}

/** What telemetry was told, for tests to look at. */
export class Recorder implements Telemetry {
  readonly ended: { status: number; details: string; verdict: string; failure: string }[] = [];
  /** Of the requests that ended. */
  readonly protocols: string[] = [];
  readonly flags: string[] = [];
  readonly ids: string[] = [];
  readonly refused: ConnectionRefusal[] = [];
  readonly opened: TcpSession[] = [];
  readonly closed: TcpSession[] = [];

  begin(): void {}
  forwarding(): void {}
  end(x: Exchange): void {
    const failure = x.failure?.code ?? '';
    const verdict = x.verdict === null ? '' : `${x.verdict.namespace}/${x.verdict.policy}`;
    this.protocols.push(x.protocol);
    this.flags.push(x.flags);
    this.ids.push(x.id);
    this.ended.push({ status: x.status, details: x.details, verdict, failure });
  }
  connectionRefused(refusal: ConnectionRefusal): void {
    this.refused.push(refusal);
  }
  tcpOpened(session: TcpSession): void {
    this.opened.push(session);
  }
  tcpClosed(session: TcpSession): void {
    this.closed.push(session);
  }
}

/** An identity that tests change by hand. */
export class HandIdentity implements Identity {
  readonly #listeners: ((svid: Svid) => void)[] = [];
  #svid: Svid;

  constructor(svid: Svid) {
    this.#svid = svid;
  }

  async start(): Promise<void> {}
  stop(): void {}
  current(): Svid {
    return this.#svid;
  }
  onChange(listener: (svid: Svid) => void): void {
    this.#listeners.push(listener);
  }
  replace(svid: Svid): void {
    this.#svid = svid;
    for (const listener of this.#listeners) listener(svid);
  }
}

export interface SidecarOptions {
  readonly namespace?: string;
  readonly account?: string;
  readonly protocol?: PortProtocol;
  /** Where the application listens; omitted: no inbound port. */
  readonly application?: number;
  /** YAML of policies, and of kinds of our own. */
  readonly policies?: string;
  readonly services?: readonly Service[];
  readonly mesh?: Record<string, unknown>;
  /** Where the workload runs: `region/zone`. */
  readonly locality?: string;
  readonly traffic?: Pick<Snapshot, 'routes' | 'destinations' | 'extensions' | 'scope' | 'inbound'>;
  /** Where captured connections were to go; omitted: none are taken. */
  readonly originalDestination?: OriginalDestinationOf;
  /** `host:port` of services that get a port each. */
  readonly mapped?: readonly OutboundMapping['destination'][];
  /** Of what is called; omitted: nothing is logged. */
  readonly log?: Log;
}

export class Rig {
  readonly ca: TestCa;
  readonly #closers: (() => unknown)[] = [];

  private constructor(ca: TestCa) {
    this.ca = ca;
  }

  static async create(): Promise<Rig> {
    return new Rig(await makeTestCa());
  }

  async svid(uri: string, ca = this.ca, lifeSeconds = 3600): Promise<Svid> {
    const { keyPem, certPem } = await issue(ca, { uri, lifeSeconds });
    const notAfterMs = Date.now() + lifeSeconds * 1000;
    const trustBundlePem = this.ca.certPem;
    return { keyPem, chainPem: certPem, trustBundlePem, identity: uri, notAfterMs };
  }

  async issued(uri: string, ca = this.ca): Promise<Issued> {
    return issue(ca, { uri });
  }

  async sidecar(options: SidecarOptions): Promise<TestSidecar> {
    const { namespace = 'shop', account = 'payments' } = options;
    const identity = new HandIdentity(await this.svid(spiffe(namespace, account)));
    const sidecar = new TestSidecar(options, identity);
    await sidecar.start();
    this.onClose(() => sidecar.close());
    return sidecar;
  }

  /** An HTTP application that answers with what it received, and echoes upgraded connections. */
  async application(handler: Handler = describeRequest): Promise<{ port: number; server: Server }> {
    const server = createServer(handler);
    server.on('upgrade', (_request, socket, head) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      );
      if (head.length > 0) socket.write(head);
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => socket.write(bytes));
      socket.on('end', () => socket.end());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.onClose(() => {
      server.closeAllConnections();
      server.close();
    });
    return { port: (server.address() as AddressInfo).port, server };
  }

  onClose(closer: () => unknown): void {
    this.#closers.push(closer);
  }

  async close(): Promise<void> {
    for (const closer of this.#closers.splice(0).toReversed()) await closer();
  }
}

export class TestSidecar {
  readonly telemetry = new Recorder();
  readonly inForce = new InForce();
  readonly identity: HandIdentity;
  readonly revoked: string[] = [];
  readonly faults: unknown[] = [];
  readonly connections = new Connections((_connection, reason) => this.revoked.push(reason));
  readonly outboundConnections = new Connections(() => undefined);
  upstreams: Upstreams | null = null;
  inboundPort = 0;
  outboundPort = 0;
  capturedPort = 0;
  mappedPorts: readonly number[] = [];
  #options: SidecarOptions;
  #version = 0;
  #closers: (() => void)[] = [];

  constructor(options: SidecarOptions, identity: HandIdentity) {
    this.#options = options;
    this.identity = identity;
  }

  async start(): Promise<void> {
    const { inForce, telemetry, identity, connections } = this;
    const upstreams = new Upstreams(identity.current(), this.#options.log);
    this.upstreams = upstreams;
    identity.onChange((svid) => upstreams.renew(svid));
    inForce.onChange(({ routes, snapshot }) => upstreams.update(routes, snapshot));
    inForce.onPolicyChange((enforced) => connections.judgeAll(enforced));
    this.apply({});
    const onFault = (error: unknown): void => void this.faults.push(error);
    const shared = { inForce, telemetry, upstreams, sharedPorts: false, onFault };
    const { application } = this.#options;
    const listen = { host: '127.0.0.1', port: 0 };
    const mappings: InboundMapping[] =
      application === undefined
        ? []
        : [{ listen, ip: '', port: 8080, application: { host: '127.0.0.1', port: application } }];
    const inbound = await startInbound({
      ...shared,
      mappings,
      captured: null,
      connections,
      identity,
      log: silentLog,
    });
    this.inboundPort = inbound.ports[0] ?? 0;
    const { originalDestination, mapped = [] } = this.#options;
    const outbound = await startOutbound({
      ...shared,
      listen,
      mappings: mapped.map((destination) => ({ listen, destination })),
      captured: originalDestination === undefined ? null : { listen, originalDestination },
      connections: this.outboundConnections,
    });
    this.outboundPort = outbound.port;
    this.capturedPort = outbound.capturedPort;
    this.mappedPorts = outbound.mappedPorts;
    this.#closers = [() => inbound.close(), () => outbound.close(), () => upstreams.close()];
  }

  /** Puts a new snapshot in force; what is not given stays. */
  apply(
    change: Pick<SidecarOptions, 'policies' | 'services' | 'protocol' | 'mesh' | 'traffic'>,
  ): void {
    this.#options = { ...this.#options, ...change };
    this.#version += 1;
    this.inForce.apply(snapshotOf(this.#options, this.#version));
  }

  async close(): Promise<void> {
    for (const closer of this.#closers) closer();
    await Promise.all([this.connections.drain(0), this.outboundConnections.drain(0)]);
  }
}

export function snapshotOf(options: SidecarOptions, version = 1): Snapshot {
  const { namespace = 'shop', account = 'payments', protocol = 'http', services = [] } = options;
  return {
    version,
    mesh: meshConfig.parse({ trustDomain, ...options.mesh }),
    workload: {
      namespace,
      name: account,
      labels: { app: account },
      serviceAccount: account,
      ports: [{ port: 8080, name: 'main', protocol }],
      ...(options.locality !== undefined && { locality: options.locality }),
    },
    policies: policiesOf(options.policies ?? ''),
    services,
    extensions: extensionsOf(options.policies ?? ''),
    ...options.traffic,
  };
}

function extensionsOf(text: string): ExtensionResource[] {
  return loadText(text, 'test.yaml').resources.filter((resource) => isExtension(resource));
}

function policiesOf(text: string): PolicyResource[] {
  const { resources, problems } = loadText(text, 'test.yaml');
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) throw new Error(errors.map((error) => error.message).join('\n'));
  return resources.filter(
    (resource): resource is PolicyResource =>
      resource.kind === 'AuthorizationPolicy' ||
      resource.kind === 'RequestAuthentication' ||
      resource.kind === 'PeerAuthentication',
  );
}

export const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;

/** ALLOW or DENY with rules as YAML flow text. */
export function authorization(name: string, action: string, rules: string): string {
  return `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: { action: ${action}, rules: ${rules} }
`;
}

export function serviceOf(
  name: string,
  endpoints: readonly Partial<Endpoint>[],
  protocol: PortProtocol = 'http',
): Service {
  return {
    name,
    namespace: 'shop',
    hosts: [`${name}.shop.svc.cluster.local`],
    addresses: [],
    ports: [
      {
        port: 80,
        name: 'main',
        protocol,
        endpoints: endpoints.map((endpoint) => ({
          address: '127.0.0.1',
          port: 0,
          identity: null,
          workload: name,
          namespace: 'shop',
          labels: {},
          ...endpoint,
        })),
      },
    ],
  };
}

/** Endpoints in turn, for tests that count on it. */
export const inTurn: NonNullable<SidecarOptions['traffic']> = {
  destinations: [
    {
      host: '*',
      source: 'DestinationRule shop/in-turn',
      policy: { balancing: { kind: 'round-robin' } },
      ports: {},
      subsets: [],
    },
  ],
};

export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One request on a connection of its own, read until it closes. @param raw one byte a character */
export async function exchange(socket: Socket, raw: string): Promise<HttpReply> {
  socket.write(raw, 'latin1');
  const text = await readToEnd(socket);
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf(':');
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
    }),
  );
  return { status: Number(statusLine.split(' ')[1] ?? 0), headers, body: rest.join('\r\n\r\n') };
}

/** All that a socket sends; '' when it is reset before. */
export async function readToEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  socket.on('error', () => undefined);
  if (!socket.closed)
    await Promise.race([once(socket, 'end'), once(socket, 'close')]).catch(() => []);
  socket.destroy();
  return text;
}

export function get(path: string, headers = '', host = 'payments'): string {
  return `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n${headers}\r\n`;
}

export async function plain(port: number): Promise<Socket> {
  const socket = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** A client with a certificate, as an Istio sidecar would connect. Rejects when refused. */
export async function mutual(
  port: number,
  client: Issued | null,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    servername: 'outbound_.8080_._.payments.shop.svc.cluster.local',
    ALPNProtocols: ['istio-http/1.1', 'istio', 'http/1.1'],
    checkServerIdentity: () => undefined,
    rejectUnauthorized: false,
    ...(client !== null && { key: client.keyPem, cert: client.certPem, ca: client.caPem }),
    ...options,
  });
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  socket.on('error', reject);
  socket.once('close', () => reject(new Error('closed')));
  socket.once('secureConnect', () => resolve(socket));
  return promise;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function describeRequest(request: IncomingMessage, response: ServerResponse): void {
  let body = '';
  request.on('data', (bytes: Buffer) => (body += String(bytes)));
  request.on('end', () => {
    const { method, url, headers } = request;
    response.setHeader('server', 'the-application');
    response.end(JSON.stringify({ method, url, headers, body }));
  });
}

/** What the application of `Rig.application` received. */
export function received(reply: HttpReply): {
  method: string;
  url: string;
  headers: Record<string, string | undefined>;
  body: string;
} {
  const text = reply.headers['transfer-encoding'] === 'chunked' ? unchunk(reply.body) : reply.body;
  return JSON.parse(text) as ReturnType<typeof received>;
}

function unchunk(text: string): string {
  let rest = text;
  let whole = '';
  for (;;) {
    const end = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, end), 16);
    if (!(size > 0)) return whole;
    whole += rest.slice(end + 2, end + 2 + size);
    rest = rest.slice(end + 2 + size + 2);
  }
}

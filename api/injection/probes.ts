// Probes of the application go to the sidecar, which asks the application: a kubelet has no certificate of the mesh.
import type { ContainerManifest, HttpAction, Probe } from './manifest.ts';
import { ports } from './names.ts';

/** As Kubernetes writes a probe; ports are numbers. */
export interface AppProbe {
  readonly httpGet?: {
    readonly path: string;
    readonly port: number;
    readonly scheme?: string;
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
  };
  readonly tcpSocket?: { readonly port: number };
  readonly grpc?: { readonly port: number; readonly service?: string };
  readonly timeoutSeconds?: number;
}

export interface RewrittenProbes {
  readonly containers: ContainerManifest[];
  /** By the path that the kubelet asks the sidecar for. */
  readonly probes: Readonly<Record<string, AppProbe>>;
  readonly warnings: string[];
}

const probeFields = {
  livenessProbe: 'livez',
  readinessProbe: 'readyz',
  startupProbe: 'startupz',
} as const;
const asItIs = 'it stays as it is, and fails under STRICT mutual TLS';
const unfit = `that the sidecar cannot pass on: ${asItIs}`;
/** As the sidecar takes it. A hook takes as long as it takes: the kubelet ends it with the pod's grace. */
const longestSeconds = 3600;
const hookFields = { preStop: 'prestopz', postStart: 'poststartz' } as const;
const prefix = /^\/app-(?:health|lifecycle)\//;

/** What asks the sidecar already is left as it is, so that a second time changes nothing. */
export function rewriteProbes(containers: readonly ContainerManifest[]): RewrittenProbes {
  const probes: Record<string, AppProbe> = {};
  const warnings: string[] = [];
  const rewritten = containers.map((container) => {
    const changed = { ...container };
    for (const [field, name] of Object.entries(probeFields)) {
      const probe = container[field as keyof typeof probeFields];
      if (probe === undefined || probe === null) continue;
      const asked = askedOf(probe, container);
      if (asked === null) continue;
      if (typeof asked === 'string') {
        warnings.push(`${field} of container ${container.name} ${asked}`);
        continue;
      }
      const path = `/app-health/${container.name}/${name}`;
      probes[path] = asked;
      changed[field as keyof typeof probeFields] = asksSidecar(probe, path);
    }
    return withHooks(changed, probes, warnings);
  });
  return { containers: rewritten, probes, warnings };
}

/** HTTP hooks come from the kubelet too. */
function withHooks(
  container: ContainerManifest,
  probes: Record<string, AppProbe>,
  warnings: string[],
): ContainerManifest {
  const { lifecycle } = container;
  if (lifecycle === undefined || lifecycle === null) return container;
  const changed = { ...lifecycle };
  for (const [field, name] of Object.entries(hookFields)) {
    const hook = lifecycle[field as keyof typeof hookFields];
    if (hook?.httpGet === undefined || hook.httpGet === null) continue;
    const asked = askedOf({ httpGet: hook.httpGet, timeoutSeconds: longestSeconds }, container);
    if (asked === null) continue;
    if (typeof asked === 'string') {
      warnings.push(`${field} of container ${container.name} ${asked}`);
      continue;
    }
    const path = `/app-lifecycle/${container.name}/${name}`;
    probes[path] = asked;
    changed[field as keyof typeof hookFields] = { ...hook, httpGet: sidecarAction(path) };
  }
  return { ...container, lifecycle: changed };
}

/** What the sidecar is to ask; null: nothing; a text says why it cannot. */
function askedOf(probe: Probe, container: ContainerManifest): AppProbe | null | string {
  const { httpGet, tcpSocket, grpc, timeoutSeconds } = probe;
  const isTold = typeof timeoutSeconds === 'number' && timeoutSeconds >= 1;
  const timeout = isTold ? { timeoutSeconds: Math.min(timeoutSeconds, longestSeconds) } : {};
  if (httpGet) {
    if (isSidecarAction(httpGet) || isElsewhere(httpGet.host)) return null;
    const asked = httpOf(httpGet, container);
    return typeof asked === 'string' ? asked : { httpGet: asked, ...timeout };
  }
  if (tcpSocket) {
    if (isElsewhere(tcpSocket.host)) return null;
    const port = portOf(tcpSocket.port, container);
    return port === null ? unknownPort(tcpSocket.port) : { tcpSocket: { port }, ...timeout };
  }
  if (!grpc) return null;
  const { service } = grpc;
  const port = portOf(grpc.port, container);
  if (port === null) return unknownPort(grpc.port);
  return { grpc: { port, ...(service ? { service } : {}) }, ...timeout };
}

/** As the sidecar takes it: it is stricter than Kubernetes, and would not start. */
function httpOf(
  { path, port: written, scheme, httpHeaders }: HttpAction,
  container: ContainerManifest,
): NonNullable<AppProbe['httpGet']> | string {
  const port = portOf(written, container);
  if (port === null) return unknownPort(written);
  const headers = httpHeaders ?? [];
  const isOdd = ({ name, value }: (typeof headers)[number]): boolean =>
    !/^[\w!#$%&'*+.^`|~-]+$/.test(name) ||
    /^(?:transfer-encoding|content-length)$/i.test(name) ||
    !/^[\t\x20-\x7e]{0,4096}$/.test(value);
  const target = visible(path ?? '/');
  if (headers.some(isOdd) || target.length > 4000) return `has a path or headers ${unfit}`;
  return {
    path: target,
    port,
    ...(scheme ? { scheme } : {}),
    ...(headers.length > 0 ? { httpHeaders: headers } : {}),
  };
}

/** With other than visible characters of ASCII written as %XX, as the kubelet sends them. */
function visible(path: string): string {
  const escaped = path.replaceAll(/[^\x21-\x7e]+/g, (part) =>
    [...Buffer.from(part)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  );
  return escaped === '' ? '/' : escaped;
}

function asksSidecar(probe: Probe, path: string): Probe {
  const { httpGet: _http, tcpSocket: _tcp, grpc: _grpc, ...rest } = probe;
  return { httpGet: sidecarAction(path), ...rest };
}

function sidecarAction(path: string): HttpAction {
  return { path, port: ports.metrics, scheme: 'HTTP' };
}

function isSidecarAction({ path, port }: HttpAction): boolean {
  return port === ports.metrics && prefix.test(path ?? '');
}

/** With a host of its own a probe does not come to this pod, but to whatever is there. */
function isElsewhere(host: string | null | undefined): boolean {
  return host !== undefined && host !== null && host !== '';
}

function portOf(written: number | string, container: ContainerManifest): number | null {
  const port =
    typeof written === 'number'
      ? written
      : (container.ports?.find(({ name }) => name === written)?.containerPort ?? 0);
  return port >= 1 && port <= 65_535 ? port : null;
}

function unknownPort(port: number | string): string {
  return `asks for port "${port}", which the container does not have: ${asItIs}`;
}

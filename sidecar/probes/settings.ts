// Settings of the ports that the kubelet and Prometheus call in the clear, and of the application's own probes.
import { isIP } from 'node:net';

import { listenAddress, optional, url, type Address } from '#runtime/setting-types.ts';
import { Wanted } from '#runtime/settings.ts';

/** What the kubelet would have asked the application itself, hooks too; `path` is where it asks us. */
export interface AppProbe {
  /** `/app-health/web/readyz`. */
  readonly path: string;
  readonly timeoutMs: number;
  readonly check: HttpCheck | TcpCheck | GrpcCheck;
}

export interface HttpCheck {
  readonly kind: 'http';
  readonly host: string;
  readonly port: number;
  readonly target: string;
  /** Not verified, as the kubelet does not. */
  readonly https: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TcpCheck {
  readonly kind: 'tcp';
  readonly host: string;
  readonly port: number;
}

export interface GrpcCheck {
  readonly kind: 'grpc';
  readonly host: string;
  readonly port: number;
  readonly service: string;
}

/** Part of the sidecar's own table. */
export const podPortFields = [
  {
    name: 'metrics',
    env: 'SELVAGE_METRICS',
    parse: optional(listenAddress),
    default: '',
    doc: "address for /stats/prometheus, /healthz/ready and the application's probes; empty: none",
  },
  {
    name: 'health',
    env: 'SELVAGE_HEALTH',
    parse: optional(listenAddress),
    default: '',
    doc: 'address for /healthz/ready; empty: none',
  },
  {
    name: 'prometheus',
    env: 'SELVAGE_PROMETHEUS',
    parse: optional(listenAddress),
    default: '',
    doc: 'address for /stats/prometheus; empty: none',
  },
  {
    name: 'appProbes',
    env: 'SELVAGE_APP_PROBES',
    parse: appProbes,
    default: '',
    doc: 'JSON: /app-health/<container>/{livez,readyz,startupz} -> the probe as in Kubernetes; hooks likewise',
  },
  {
    name: 'applicationMetrics',
    env: 'SELVAGE_APP_METRICS',
    parse: optional(url('http', 'https')),
    default: '',
    doc: 'metrics page of the application, put after ours at SELVAGE_METRICS; empty: none',
  },
] as const;

export type PodPorts = Readonly<Record<'metrics' | 'health' | 'prometheus', Address | null>>;

const probesMax = 256;

/** `{"/app-health/web/readyz": {"httpGet": {"port": 8080, "path": "/ready"}, "timeoutSeconds": 1}}`. */
export function appProbes(text: string): AppProbe[] {
  if (text === '') return [];
  const table = recordOf(parseJson(text), 'probes');
  const entries = Object.entries(table);
  if (entries.length > probesMax) throw new Wanted(`at most ${probesMax} probes`);
  return entries.map(([path, probe]) => readProbe(path, recordOf(probe, path)));
}

const probePath = /^\/app-health\/[a-z0-9-]{1,63}\/(?:livez|readyz|startupz)$/;
const hookPath = /^\/app-lifecycle\/[a-z0-9-]{1,63}\/(?:prestopz|poststartz)$/;

type Json = Readonly<Record<string, unknown>>;

function readProbe(path: string, probe: Json): AppProbe {
  const hook = hookPath.test(path);
  if (!hook && !probePath.test(path)) {
    throw new Wanted(
      'paths /app-health/<container>/{livez,readyz,startupz} and ' +
        `/app-lifecycle/<container>/{prestopz,poststartz}, not ${path}`,
    );
  }
  const kinds = ['httpGet', 'tcpSocket', 'grpc'] as const;
  const present = kinds.filter((kind) => probe[kind] !== undefined && probe[kind] !== null);
  const [kind] = present;
  if (kind === undefined || present.length > 1) {
    throw new Wanted(`one of httpGet, tcpSocket and grpc at ${path}`);
  }
  const action = recordOf(probe[kind], `${path}.${kind}`);
  // The kubelet gives a hook all the time that it takes.
  const seconds = probe['timeoutSeconds'] ?? (hook ? 3600 : 1);
  if (typeof seconds !== 'number' || !(seconds >= 1 && seconds <= 3600)) {
    throw new Wanted(`timeoutSeconds from 1 to 3600 at ${path}`);
  }
  return { path, timeoutMs: seconds * 1000, check: checks[kind](action, path) };
}

const checks: Readonly<
  Record<'httpGet' | 'tcpSocket' | 'grpc', (action: Json, at: string) => AppProbe['check']>
> = {
  httpGet: (action, at) => ({
    kind: 'http',
    ...addressOf(action, at),
    target: targetOf(action['path'], at),
    https: schemeOf(action['scheme'], at) === 'HTTPS',
    headers: headersOf(action['httpHeaders'] ?? [], at),
  }),
  tcpSocket: (action, at) => ({ kind: 'tcp', ...addressOf(action, at) }),
  grpc: (action, at) => ({
    kind: 'grpc',
    ...addressOf(action, at),
    service: textOf(action['service'] ?? '', `service at ${at}`),
  }),
};

/** An empty host is the pod. */
function addressOf(action: Json, at: string): { host: string; port: number } {
  const host = textOf(action['host'] ?? '', `host at ${at}`);
  const port = action['port'];
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Wanted(`port from 1 to 65535 at ${at} (names are the injector's to resolve)`);
  }
  if (host !== '' && isIP(host) === 0 && !/^[A-Za-z0-9.-]+$/.test(host)) {
    throw new Wanted(`a host at ${at}`);
  }
  return { host, port };
}

function targetOf(value: unknown, at: string): string {
  const path = textOf(value ?? '/', `path at ${at}`);
  // Kubernetes takes a path with or without its slash.
  const target = path.startsWith('/') ? path : `/${path}`;
  if (!/^[\x21-\x7e]+$/.test(target)) throw new Wanted(`a path of visible ASCII at ${at}`);
  return target;
}

function schemeOf(value: unknown, at: string): string {
  const scheme = textOf(value ?? 'HTTP', `scheme at ${at}`).toUpperCase();
  if (scheme !== 'HTTP' && scheme !== 'HTTPS') throw new Wanted(`scheme HTTP or HTTPS at ${at}`);
  return scheme;
}

function headersOf(value: unknown, at: string): Record<string, string> {
  if (!Array.isArray(value)) throw new Wanted(`a list of httpHeaders at ${at}`);
  const headers: Record<string, string> = {};
  for (const item of value as unknown[]) {
    const header = recordOf(item, `httpHeaders at ${at}`);
    const name = textOf(header['name'], `name of a header at ${at}`).toLowerCase();
    const text = textOf(header['value'] ?? '', `value of a header at ${at}`);
    const valid = /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
    if (!valid || name === 'transfer-encoding' || name === 'content-length') {
      throw new Wanted(`headers that HTTP allows at ${at}`);
    }
    headers[name] = text;
  }
  return headers;
}

function textOf(value: unknown, at: string): string {
  if (typeof value !== 'string' || value.length > 4096) throw new Wanted(`text as ${at}`);
  return value;
}

function recordOf(value: unknown, at: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Wanted(`an object as ${at}`);
  }
  return value as Json;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Wanted('JSON');
  }
}

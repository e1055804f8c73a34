// Where spans go: a provider of the mesh, or the endpoint that this sidecar's own settings name.
import type { TraceProvider } from '#api/telemetry.ts';

export interface OtlpTarget extends TraceProvider {
  /** TLS to outside the mesh, by the roots of the system. */
  readonly tls?: true;
}

/** OTLP's own, over HTTP and over gRPC. */
const defaultPorts = { http: 4318, grpc: 4317 } as const;
export const tracesPath = '/v1/traces';

const schemes: Readonly<Record<string, Pick<OtlpTarget, 'protocol' | 'tls'>>> = {
  'http:': { protocol: 'http' },
  'https:': { protocol: 'http', tls: true },
  'grpc:': { protocol: 'grpc' },
  'grpcs:': { protocol: 'grpc', tls: true },
};

/**
 * `http://collector:4318[/path]`, `https://…`, `grpc://collector:4317`, `grpcs://…`. Null: it is none of these.
 * Without a path HTTP gets `/v1/traces`.
 */
export function readOtlpEndpoint(text: string): OtlpTarget | null {
  const url = URL.parse(text);
  const scheme = schemes[url?.protocol ?? ''];
  if (url === null || scheme === undefined || url.hostname === '') return null;
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return null;
  const isHttp = scheme.protocol === 'http';
  const hasPath = url.pathname !== '' && url.pathname !== '/';
  if (hasPath && !isHttp) return null;
  return {
    ...scheme,
    name: 'SELVAGE_OTLP_ENDPOINT',
    host: url.hostname.replaceAll(/^\[|\]$/g, ''),
    port: portOf(text, url, scheme.protocol),
    ...(isHttp && { path: hasPath ? url.pathname : tracesPath }),
  };
}

/** URL leaves out the usual port of http and https, so the text itself is asked whether one was written. */
function portOf(text: string, url: URL, protocol: OtlpTarget['protocol']): number {
  if (url.port !== '') return Number(url.port);
  const [written] = /:\d{1,5}(?=\/|$)/.exec(text.slice(url.protocol.length)) ?? [];
  return written === undefined ? defaultPorts[protocol] : Number(written.slice(1));
}

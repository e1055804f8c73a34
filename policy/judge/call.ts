// One recorded call, as the files of recorded decisions write it: what a client sent, and from where.

/** The request format of recorded decisions; `selvage test` and `selvage explain` make the same. */
export interface RecordedCall {
  readonly id?: string;
  /** Absent: http. */
  readonly kind?: 'http' | 'tcp';
  readonly method?: string;
  /** The request target's bytes as latin-1. */
  readonly path?: string;
  /** Several: a header line each; null: no Host header. */
  readonly host?: string | readonly string[] | null;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** 0 = HTTP/1.0; absent = HTTP/1.1. */
  readonly minor?: number;
  readonly source: {
    /**
     * `td/ns/x/sa/y` = URI SAN spiffe://…, several joined with ","; prefixes `dns:`, `cn:`, `uri:` for other names;
     * `none` = TLS without a client certificate; null = plaintext.
     */
    readonly identity: string | null;
    readonly ip: string;
  };
  /** The original destination. */
  readonly destination: { readonly ip: string; readonly port: number };
  /** Absent: what a sidecar in the workload's namespace would send. */
  readonly sni?: string;
  /** Absent: what a sidecar sends. */
  readonly alpn?: readonly string[];
}

/** The URI SANs of the client's certificate, whole. Other names count for nothing in a mesh. */
export function identitiesOf(identity: string): string[] {
  return identity
    .split(',')
    .filter((name) => name !== 'none' && !name.startsWith('dns:') && !name.startsWith('cn:'))
    .map((name) => (name.startsWith('uri:') ? name.slice(4) : `spiffe://${name}`));
}

/** What the client's TLS hello offers, most wanted first. */
export function alpnOf(call: RecordedCall): readonly string[] {
  if (call.alpn !== undefined) return call.alpn;
  return call.kind === 'tcp' ? sidecarTcp : sidecarHttp;
}

const sidecarHttp = ['istio-http/1.1', 'istio', 'http/1.1'];
const sidecarTcp = ['istio-peer-exchange', 'istio'];

export function hostsOf(call: RecordedCall): readonly string[] {
  const { host } = call;
  if (host === null || host === undefined) return [];
  return typeof host === 'string' ? [host] : host;
}

/**
 * What plaintext bytes look like to a sniffer: HTTP when the target of the first line can be one, whatever the
 * method is. Envoy's HTTP inspector decides the same.
 */
export function firstBytesOf(call: RecordedCall): 'http1' | 'other' {
  if (call.kind === 'tcp') return 'other';
  return httpTarget.test(call.path ?? '/') ? 'http1' : 'other';
}

const httpTarget = /^(?:[/*]|[a-z][a-z\d+.-]*:\/\/)[\t\f!-~]*$/i;

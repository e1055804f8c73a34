// Reads the recorded authorization decisions: what real istiod with real Envoy decided, packed under authz/.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

export interface Case {
  readonly name: string;
  readonly source: string;
  /** The part of Istio's MeshConfig that matters, without defaults. */
  readonly meshConfig: Readonly<Record<string, unknown>>;
  readonly workload: CaseWorkload;
  /** One YAML document each, the oldest first. */
  readonly policies: readonly string[];
  /** Policies that the webhook refuses are in force all the same. */
  readonly admitInvalid?: boolean;
  /** YAML documents beside the policies: the ServiceEntry of an authorizer. */
  readonly extraResources?: readonly string[];
  readonly requests: readonly CaseRequest[];
  /** The webhook's verdict for each document of `policies`, in the same order. */
  readonly validation: readonly CaseValidation[];
  /** One for each request, in the same order. */
  readonly expected: readonly CaseExpected[];
  readonly note?: string;
  /** No decision could be recorded: skip the requests. */
  readonly oracleError?: string;
}

export interface CaseWorkload {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly ip: string;
  readonly ports: readonly CasePort[];
}

export interface CasePort {
  readonly name: string;
  readonly port: number;
  /** '' = detected. */
  readonly protocol: 'HTTP' | 'HTTP2' | 'GRPC' | 'TCP' | '';
}

export interface CaseRequest {
  readonly id: string;
  /** Absent: http. */
  readonly kind?: 'http' | 'tcp';
  /** HTTP only, as the three below. */
  readonly method?: string;
  /** Raw bytes as latin-1. */
  readonly path?: string;
  /** Several: a header line each; null: no Host header. */
  readonly host?: string | readonly string[] | null;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** 0 = HTTP/1.0; absent = HTTP/1.1. */
  readonly minor?: number;
  readonly source: {
    /**
     * `td/ns/x/sa/y` = URI SAN spiffe://…, several joined with ","; prefixes `dns:`, `cn:`, `uri:`
     * for other SANs; `none` = TLS without a client certificate; null = plaintext.
     */
    readonly identity: string | null;
    readonly ip: string;
  };
  /** The original destination. */
  readonly destination: { readonly ip: string; readonly port: number };
  /** Absent: outbound_.8080_._.srv.NAMESPACE.svc.cluster.local */
  readonly sni?: string;
  /** Absent: what Istio's client sends. */
  readonly alpn?: readonly string[];
}

export interface CaseValidation {
  /** '' where the document did not parse. */
  readonly kind: string;
  readonly name: string;
  readonly valid: boolean;
  readonly error?: string;
  readonly warning?: string;
}

export interface CaseExpected {
  readonly decision: 'allow' | 'deny' | 'unauthenticated' | 'badrequest' | 'closed' | 'other';
  readonly status?: number;
  /** Envoy's response code details: they name the policy and the rule. */
  readonly details?: string;
  /** As the filters saw it. */
  readonly path?: string;
  readonly authority?: string;
  readonly remoteIp?: string;
  /** `true` where an AUDIT rule matched. */
  readonly audit?: string;
  /** Dry-run metadata; not compared. */
  readonly rbac?: unknown;
  /** HTTP bytes that a TCP chain let pass. */
  readonly as?: 'tcp';
}

const folder = join(import.meta.dirname, 'authz');

/** All recorded cases in file order (about 720, 13,500 requests), or those that `filter` keeps. */
export function readCases(filter: (c: Case) => boolean = () => true): Case[] {
  const cases: Case[] = [];
  for (const file of readdirSync(folder).toSorted()) {
    if (!file.endsWith('.json.br')) continue;
    const text = brotliDecompressSync(readFileSync(join(folder, file))).toString('utf8');
    for (const one of JSON.parse(text) as Case[]) if (filter(one)) cases.push(one);
  }
  return cases;
}

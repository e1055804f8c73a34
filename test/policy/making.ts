// Policies, workloads and calls for tests of the policy engine, with as little to write as possible.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { meshConfig, type MeshConfig } from '#api/kinds/mesh-config.ts';
import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import type { Origin } from '#api/resource.ts';
import type { PolicyResource } from '#api/snapshot.ts';
import type { Workload } from '#api/workload.ts';
import { compilePolicies, type CompiledPolicies } from '#policy/compile.ts';
import type { ConnectionFacts, RequestFacts, TokenFacts } from '#policy/facts.ts';

export type PolicySpec = Partial<AuthorizationPolicy['spec']>;

export function authorization(
  name: string,
  spec: PolicySpec,
  more: { namespace?: string; annotations?: Record<string, string>; origin?: Origin } = {},
): AuthorizationPolicy {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: {
      name,
      namespace: more.namespace ?? 'shop',
      labels: {},
      annotations: more.annotations ?? {},
    },
    spec: { action: 'ALLOW', ...spec },
    ...(more.origin === undefined ? {} : { origin: more.origin }),
  };
}

export function peerAuthentication(
  name: string,
  spec: PeerAuthentication['spec'],
  namespace = 'shop',
): PeerAuthentication {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name, namespace, labels: {}, annotations: {} },
    spec,
  };
}

export const cart: Workload = {
  namespace: 'shop',
  name: 'cart',
  labels: { app: 'cart', tier: 'back' },
  serviceAccount: 'cart',
  ports: [
    { port: 8080, name: 'http', protocol: 'http' },
    { port: 9000, name: 'tcp', protocol: 'tcp' },
    { port: 8090, name: 'any', protocol: 'detect' },
  ],
};

function mesh(more: Record<string, unknown> = {}): MeshConfig {
  return meshConfig.parse(more);
}

export function compile(
  policies: readonly PolicyResource[],
  meshOptions: Record<string, unknown> = {},
  workload: Workload = cart,
): CompiledPolicies {
  return compilePolicies({ mesh: mesh(meshOptions), workload, policies });
}

/** @param identity without its scheme; null for plaintext */
export function connection(
  identity: string | null = 'cluster.local/ns/shop/sa/web',
  more: Partial<ConnectionFacts> = {},
): ConnectionFacts {
  return {
    mtls: identity !== null,
    identities: identity === null ? [] : [`spiffe://${identity}`],
    sourceIp: '10.0.0.7',
    destinationIp: '10.1.0.1',
    destinationPort: 8080,
    sni: identity === null ? '' : 'outbound_.8080_._.cart.shop.svc.cluster.local',
    ...more,
  };
}

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly scheme?: string;
  readonly token?: TokenFacts | null;
  /** By lower-case name. */
  readonly headers?: Readonly<Record<string, readonly string[]>>;
}

export function request(options: RequestOptions = {}): RequestFacts {
  const headers = options.headers ?? {};
  return {
    method: options.method ?? 'GET',
    path: options.path ?? '/',
    authority: options.authority ?? 'cart.shop',
    scheme: options.scheme ?? 'https',
    token: options.token ?? null,
    values: (name) => (Object.hasOwn(headers, name) ? (headers[name] ?? []) : []),
  };
}

export function token(payload: Record<string, unknown>, split: readonly string[] = []): TokenFacts {
  const { iss, sub } = payload;
  return {
    issuer: typeof iss === 'string' ? iss : '',
    subject: typeof sub === 'string' ? sub : '',
    payload,
    spaceDelimitedClaims: split,
  };
}

/** Every node of a spec gets a line of its own, in the order of writing, from 10 on. */
export function originOf(spec: unknown, file = 'shop.yaml'): Origin {
  const lines: Record<string, number> = {};
  let line = 10;
  const walk = (node: unknown, path: string): void => {
    lines[path] = line++;
    if (Array.isArray(node)) node.forEach((child, i) => walk(child, `${path}[${i}]`));
    else if (typeof node === 'object' && node !== null) {
      for (const [name, child] of Object.entries(node)) walk(child, `${path}.${name}`);
    }
  };
  walk(spec, 'spec');
  return { file, line: 7, lines };
}

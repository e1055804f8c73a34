// A cluster for CAs under test: a fake API server that reviews tokens as the real one does, and a pod's account folder.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject } from '#runtime/kubernetes/client.ts';
import { FakeApi, status, type SeenRequest } from '#test/runtime/kubernetes/fake-api.ts';

export interface TokenOptions {
  readonly account?: string;
  readonly audience?: string;
  /** null: bound to none. */
  readonly pod?: string | null;
  readonly lifeSeconds?: number;
}

export interface FakeCluster {
  readonly api: FakeApi;
  /** Environment of a CA in it. */
  readonly env: Record<string, string>;
  /** A token that the API server would give out. */
  token(options?: TokenOptions): string;
  /** From now on no token of this pod is good. */
  deletePod(name: string): void;
  /** What every call gets in place of an answer; null: the server is well. */
  broken: (() => Promise<{ status: number }> | { status: number }) | null;
  secret(name: string): KubeObject | undefined;
  bundleIn(namespace: string): string | undefined;
}

const secrets = '/api/v1/secrets';
export const configMaps = '/api/v1/configmaps';
export const namespaces = '/api/v1/namespaces';

export async function startFakeCluster(folder: string): Promise<FakeCluster> {
  const api = await FakeApi.start();
  const given = new Map<string, Required<TokenOptions>>();
  const gone = new Set<string>();
  const cluster: FakeCluster = {
    api,
    env: { ...environment(folder, api) },
    broken: null,
    token: (options = {}) => makeToken(options, given),
    deletePod: (name) => gone.add(name),
    secret: (name) => api.get(secrets, name, 'selvage-system'),
    bundleIn(namespace) {
      const map = api.get(configMaps, 'selvage-ca-root-cert', namespace);
      return (map?.['data'] as Record<string, string> | undefined)?.['root-cert.pem'];
    },
  };
  api.intercept = (request) =>
    cluster.broken === null ? reviewed(request, given, gone) : cluster.broken();
  for (const name of ['selvage-system', 'shop']) api.put(namespaces, { metadata: { name } });
  return cluster;
}

function environment(folder: string, api: FakeApi): Record<string, string> {
  const account = join(folder, 'account');
  mkdirSync(account, { recursive: true });
  writeFileSync(join(account, 'token'), 'token-of-the-ca');
  writeFileSync(join(account, 'ca.crt'), api.caPem);
  writeFileSync(join(account, 'namespace'), 'selvage-system');
  return {
    SELVAGE_CA_LISTEN: '127.0.0.1:0',
    SELVAGE_CA_ADMIN: '127.0.0.1:0',
    SELVAGE_HEALTH: '127.0.0.1:0',
    SELVAGE_KUBERNETES: api.url,
    SELVAGE_KUBERNETES_DIR: account,
    SELVAGE_CA_AUDIT_FILE: join(folder, 'audit.jsonl'),
    SELVAGE_DRAIN_TIMEOUT_MS: '200',
  };
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

let made = 0;

function makeToken(options: TokenOptions, given: Map<string, Required<TokenOptions>>): string {
  const { account = 'shop:orders', audience = 'selvage-ca', pod = 'orders-1' } = options;
  const { lifeSeconds = 600 } = options;
  made += 1;
  const exp = Math.floor(Date.now() / 1000) + lifeSeconds;
  const claims = { aud: [audience], exp, sub: `system:serviceaccount:${account}`, jti: made };
  const token = `${encode({ alg: 'RS256' })}.${encode(claims)}.c2lnbmVk`;
  given.set(token, { account, audience, pod, lifeSeconds });
  return token;
}

const refuse = (error: string) => ({
  status: 201,
  body: { status: { user: {}, error: `[invalid bearer token, ${error}]` } },
});

function reviewed(
  { path, body }: SeenRequest,
  given: ReadonlyMap<string, Required<TokenOptions>>,
  gone: ReadonlySet<string>,
): { status: number; body: unknown } | undefined {
  if (path !== '/apis/authentication.k8s.io/v1/tokenreviews') return undefined;
  const { spec } = body as { spec: { token: string; audiences: string[] } };
  const token = given.get(spec.token);
  if (token === undefined) return refuse('the signature is not valid');
  if (!spec.audiences.includes(token.audience)) return refuse('the audience is not valid');
  if (token.pod !== null && gone.has(token.pod)) return refuse('the pod does not exist');
  const prefix = 'authentication.kubernetes.io';
  const bound =
    token.pod === null
      ? {}
      : { [`${prefix}/pod-name`]: [token.pod], [`${prefix}/pod-uid`]: [`uid of ${token.pod}`] };
  const user = { username: `system:serviceaccount:${token.account}`, extra: bound };
  return {
    status: 201,
    body: { status: { authenticated: true, audiences: [token.audience], user } },
  };
}

export const away = () => status(503, 'ServiceUnavailable', 'the API server is shutting down');

// Settings of the CA: the one place where its environment is read.
import {
  address,
  anyText,
  integer,
  list,
  oneOf,
  optional,
  requiredText,
  listenAddress,
} from '#runtime/setting-types.ts';
import { apiServer } from '#runtime/kubernetes/api-server-setting.ts';
import { logLevels } from '#runtime/log.ts';
import { describeSettings, readSettings, Wanted, type Settings } from '#runtime/settings.ts';

export const caFields = [
  {
    name: 'listen',
    env: 'SELVAGE_CA_LISTEN',
    parse: listenAddress,
    default: ':15012',
    doc: 'address of the signing endpoint',
  },
  {
    name: 'admin',
    env: 'SELVAGE_CA_ADMIN',
    parse: address,
    default: '127.0.0.1:15014',
    doc: 'address of health, metrics and rotation',
  },
  {
    name: 'health',
    env: 'SELVAGE_HEALTH',
    parse: optional(listenAddress),
    default: '',
    doc: 'address of /healthz/ready, /healthz/live and /metrics, for kubelet and Prometheus, as :15021; empty: nowhere',
  },
  {
    name: 'kubernetes',
    env: 'SELVAGE_KUBERNETES',
    parse: optional(apiServer(process.env)),
    default: '',
    doc: 'API server of the cluster to serve: in-cluster, a URL, or empty: none',
  },
  {
    name: 'kubernetesFolder',
    env: 'SELVAGE_KUBERNETES_DIR',
    parse: requiredText,
    default: '/var/run/secrets/kubernetes.io/serviceaccount',
    doc: 'folder with token, ca.crt and namespace of the account that asks the API server',
  },
  {
    name: 'pod',
    env: 'SELVAGE_POD',
    parse: anyText,
    default: '',
    doc: 'name of the pod, by which replicas tell themselves apart; empty: the host name',
  },
  {
    name: 'folder',
    env: 'SELVAGE_CA_DIR',
    parse: anyText,
    default: '',
    doc: 'without a cluster: folder of keys and roots; losing it makes every workload lose trust',
  },
  {
    name: 'trustDomain',
    env: 'SELVAGE_TRUST_DOMAIN',
    parse: trustDomain,
    default: 'cluster.local',
    doc: 'first part of every SPIFFE ID',
  },
  {
    name: 'leafLifeSeconds',
    env: 'SELVAGE_CERT_LIFE_SECONDS',
    parse: integer({ min: 1, max: 90 * 86_400 }),
    default: '86400',
    doc: 'longest life of a certificate',
  },
  {
    name: 'rootLifeSeconds',
    env: 'SELVAGE_CA_ROOT_LIFE_SECONDS',
    parse: integer({ min: 60, max: 100 * 365 * 86_400 }),
    default: '315360000',
    doc: 'life of a self-signed root; a new one is made when a fifth of it is left',
  },
  {
    name: 'overlapSeconds',
    env: 'SELVAGE_CA_ROTATION_OVERLAP_SECONDS',
    parse: integer({ min: 0, max: 365 * 86_400 }),
    default: '86400',
    doc: 'how long a new root is in the trust bundle before it signs',
  },
  {
    name: 'jwksFile',
    env: 'SELVAGE_CA_JWKS_FILE',
    parse: anyText,
    default: '',
    doc: 'without a cluster: JSON Web Key Set that proves callers',
  },
  {
    name: 'tokenIssuer',
    env: 'SELVAGE_CA_TOKEN_ISSUER',
    parse: requiredText,
    default: 'selvage-local',
    doc: 'iss of tokens that the key set proves',
  },
  {
    name: 'tokenAudience',
    env: 'SELVAGE_CA_TOKEN_AUDIENCE',
    parse: requiredText,
    default: 'selvage-ca',
    doc: 'aud of tokens',
  },
  {
    name: 'issuerCertFile',
    env: 'SELVAGE_CA_ISSUER_CERT_FILE',
    parse: anyText,
    default: '',
    doc: "PEM of the operator's issuer, then the certificates up to its root",
  },
  {
    name: 'issuerKeyFile',
    env: 'SELVAGE_CA_ISSUER_KEY_FILE',
    parse: anyText,
    default: '',
    doc: 'its key, PEM, encrypted or not',
  },
  {
    name: 'issuerRootFile',
    env: 'SELVAGE_CA_ISSUER_ROOT_FILE',
    parse: anyText,
    default: '',
    doc: 'its root, PEM, where the certificate file has it not',
  },
  {
    name: 'issuerP12File',
    env: 'SELVAGE_CA_ISSUER_P12_FILE',
    parse: anyText,
    default: '',
    doc: 'PKCS#12 instead of certificate and key',
  },
  {
    name: 'issuerPasswordFile',
    env: 'SELVAGE_CA_ISSUER_PASSWORD_FILE',
    parse: anyText,
    default: '',
    doc: 'file with the password of the key or the PKCS#12',
  },
  {
    name: 'dnsNames',
    env: 'SELVAGE_CA_DNS_NAMES',
    parse: list(',', dnsName),
    default: '',
    doc: "more DNS names for the CA's own certificate, separated by commas",
  },
  {
    name: 'servingNames',
    env: 'SELVAGE_CA_SERVING_NAMES',
    parse: list(',', servingName),
    default: 'selvage-system/selvage-injector=selvage-injector.selvage-system.svc',
    doc: 'NAMESPACE/ACCOUNT=DNS.NAME for accounts whose certificates get DNS names too, separated by commas',
  },
  {
    name: 'identityRate',
    env: 'SELVAGE_CA_RATE_PER_IDENTITY',
    parse: rate,
    default: '10/200',
    doc: 'certificates per second for one identity / at once',
  },
  {
    name: 'overallRate',
    env: 'SELVAGE_CA_RATE',
    parse: rate,
    default: '500/2000',
    doc: 'certificates per second for all / at once',
  },
  {
    name: 'callTimeoutMs',
    env: 'SELVAGE_CA_CALL_TIMEOUT_MS',
    parse: integer({ min: 10, max: 600_000 }),
    default: '10000',
    doc: 'how long a call may take to arrive, head and body each',
  },
  {
    name: 'auditFile',
    env: 'SELVAGE_CA_AUDIT_FILE',
    parse: anyText,
    default: '',
    doc: 'a line for each certificate is appended here; empty: standard output',
  },
  {
    name: 'logLevel',
    env: 'SELVAGE_LOG_LEVEL',
    parse: oneOf(...logLevels),
    default: 'info',
    doc: 'lowest level that is logged',
  },
  {
    name: 'drainTimeoutMs',
    env: 'SELVAGE_DRAIN_TIMEOUT_MS',
    parse: integer({ min: 0, max: 600_000 }),
    default: '5000',
    doc: 'how long present calls may take when the CA stops',
  },
] as const;

export type CaSettings = Settings<typeof caFields>;

/** The settings of this process; throws one SettingsError that names every mistake. */
export function readCaSettings(
  env: Readonly<Record<string, string | undefined>> = process.env,
): CaSettings {
  return readSettings(caFields, env, contradictions(env));
}

/** What only shows when several settings are looked at together. */
function contradictions(env: Readonly<Record<string, string | undefined>>): string[] {
  const inCluster = (env['SELVAGE_KUBERNETES'] ?? '') !== '';
  const local = ['SELVAGE_CA_DIR', 'SELVAGE_CA_JWKS_FILE'];
  return inCluster
    ? local
        .filter((name) => (env[name] ?? '') !== '')
        .map((name) => `${name} and SELVAGE_KUBERNETES are both set: wanted only one of them`)
    : local
        .filter((name) => (env[name] ?? '') === '')
        .map((name) => `${name} is not set: wanted where SELVAGE_KUBERNETES is empty`);
}

/** The same as text, without secrets, for the log at start. */
export function describeCaSettings(): Record<string, string> {
  return describeSettings(caFields, process.env);
}

/** SPIFFE-ID section 2.1: lower-case letters, digits, dots, dashes, underscores; at most 255. */
function trustDomain(text: string): string {
  if (!/^[a-z0-9._-]{1,255}$/.test(text)) {
    throw new Wanted('a trust domain of lower-case letters, digits, ".", "-" and "_"');
  }
  return text;
}

function dnsName(text: string): string {
  if (!/^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/i.test(text)) throw new Wanted('a DNS name');
  return text;
}

/** One account and one name; an account with several names is given several times. */
function servingName(text: string): { account: string; dnsName: string } {
  const match = /^([a-z0-9-]{1,63}\/[a-z0-9.-]{1,253})=(.+)$/.exec(text);
  if (match === null) throw new Wanted('NAMESPACE/ACCOUNT=DNS.NAME');
  const [, account = '', name = ''] = match;
  return { account, dnsName: dnsName(name) };
}

function rate(text: string): { perSecond: number; burst: number } {
  const match = /^(\d{1,7}(?:\.\d{1,3})?)\/(\d{1,7})$/.exec(text);
  const perSecond = Number(match?.[1] ?? 0);
  const burst = Number(match?.[2] ?? 0);
  if (!(perSecond > 0 && burst >= 1)) throw new Wanted('PER_SECOND/AT_ONCE, as 10/200');
  return { perSecond, burst };
}

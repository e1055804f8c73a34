// The processes of the mesh in a cluster: what each runs as, listens on and is told.
import { folders, volumes } from '#api/injection/names.ts';
import { deniedByDefault } from '#control/jwks/addresses.ts';

export type PartName = 'ca' | 'control' | 'injector';

export interface Resources {
  readonly requests: { readonly cpu: string; readonly memory: string };
  readonly limits: { readonly memory: string };
}

export interface Part {
  readonly part: PartName;
  readonly name: string;
  readonly program: string;
  readonly portName: string;
  readonly port: number;
  readonly servicePort: number;
  readonly env: Readonly<Record<string, string>>;
  /** Proves who it is to the CA, as sidecars do. */
  readonly workload: boolean;
  /** ConfigMap whose data is further environment. */
  readonly configMap?: string;
}

const inCluster = { SELVAGE_KUBERNETES: 'in-cluster', SELVAGE_HEALTH: ':15021' };
const identity = {
  SELVAGE_CA: 'https://selvage-ca.selvage-system.svc:15012',
  SELVAGE_TOKEN_FILE: `${folders.token}/token`,
  SELVAGE_TRUST_BUNDLE_FILE: `${folders.trust}/root-cert.pem`,
};

export const parts: readonly Part[] = [
  {
    part: 'ca',
    name: 'selvage-ca',
    program: '/app/ca/main.js',
    portName: 'https-ca',
    port: 15012,
    servicePort: 15012,
    env: {
      ...inCluster,
      SELVAGE_CA_SERVING_NAMES:
        'selvage-system/selvage-injector=selvage-injector.selvage-system.svc',
    },
    workload: false,
  },
  {
    part: 'control',
    name: 'selvage-control',
    program: '/app/control/main.js',
    portName: 'https-push',
    port: 15011,
    servicePort: 15011,
    env: {
      ...inCluster,
      ...identity,
      // A key set must not come from the pod itself either.
      SELVAGE_JWKS_DENIED: [...new Set([...deniedByDefault, '127.0.0.0/8', '::1'])].join(','),
    },
    workload: true,
  },
  {
    part: 'injector',
    name: 'selvage-injector',
    program: '/app/injector/main.js',
    portName: 'https-webhook',
    port: 15017,
    servicePort: 443,
    env: { ...inCluster, ...identity },
    workload: true,
    configMap: 'selvage-injector',
  },
];

/** What a workload's identity takes: a token for the CA, and the roots to know the CA by. */
export const identityVolumes = [
  {
    name: volumes.token,
    projected: {
      sources: [
        {
          serviceAccountToken: { audience: 'selvage-ca', expirationSeconds: 3600, path: 'token' },
        },
      ],
    },
  },
  { name: volumes.trust, configMap: { name: 'selvage-ca-root-cert' } },
];

export const identityMounts = [
  { name: volumes.token, mountPath: folders.token, readOnly: true },
  { name: volumes.trust, mountPath: folders.trust, readOnly: true },
];

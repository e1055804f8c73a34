// The injector in this process, registered with the cluster that KUBECONFIG names: a real API server calls it.
import { connect } from 'node:net';
import { randomBytes } from 'node:crypto';

import { defaultInjection, type InjectionConfig } from '#api/injection/config.ts';
import { pluralOf } from '#api/kinds/plural.ts';
import { readKubeconfig } from '#cli/cluster/kubeconfig.ts';
import { type Identity, type Injector, startInjector } from '#injector/app.ts';
import { mutatingWebhooks, validatingWebhooks } from '#injector/webhooks.ts';
import { createKubeClient, type KubeClient, KubeError } from '#runtime/kubernetes/client.ts';
import { silentLog } from '#runtime/log.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import { issue, makeTestCa, type TestCa } from '../../tls/fixtures.ts';

/** Where there is no cluster the tests are skipped, and say so. */
export const noCluster = (process.env['KUBECONFIG'] ?? '') === '';
if (noCluster) console.log('skipped: KUBECONFIG names no cluster');

export interface InjectorInTest {
  readonly client: KubeClient;
  readonly injector: Injector;
  readonly config: InjectionConfig;
  readonly identity: RotatingIdentity;
  /** Where the API server reaches this process. */
  readonly host: string;
  /** Of both webhook configurations. */
  readonly name: string;
  /** A namespace of its own, removed at the end. */
  namespace(labels?: Record<string, string>): Promise<string>;
  /** `/api/v1/namespaces/x/pods`; a namespaced path of any kind with an apiVersion. */
  create(object: object): Promise<KubeResource>;
  close(): Promise<void>;
}

/** A Kubernetes object, as tests look at it. */
export interface KubeResource {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly spec: Record<string, unknown>;
}

export async function startInjectorInTest(): Promise<InjectorInTest> {
  const access = await readKubeconfig({ env: process.env });
  const client = createKubeClient(access);
  const host = await ownAddress(access.server);
  const name = `selvage-injector-${randomBytes(3).toString('hex')}`;
  const identity = await RotatingIdentity.make(host);
  const config = defaultInjection('0.0.0');
  const injector = await startInjector(
    {
      listen: { host, port: 0 },
      health: { host: '127.0.0.1', port: 0 },
      admin: { host: '127.0.0.1', port: 0 },
      kubernetes: null,
      webhooks: name,
      ca: new URL('https://ca.invalid'),
      tokenFile: '/nowhere',
      trustBundleFile: '/nowhere',
      logLevel: 'silent',
      drainTimeoutMs: 100,
      injection: config,
    },
    silentLog,
    { identity, client },
  );
  const target = { url: `https://${host}:${injector.port}` };
  const admission = '/apis/admissionregistration.k8s.io/v1';
  await client.create(`${admission}/mutatingwebhookconfigurations`, mutatingWebhooks(target, name));
  await client.create(
    `${admission}/validatingwebhookconfigurations`,
    validatingWebhooks(target, name),
  );
  const namespaces: string[] = [];
  const inTest: InjectorInTest = {
    client,
    injector,
    config,
    identity,
    host,
    name,
    async namespace(labels = {}) {
      const own = `inject-${randomBytes(3).toString('hex')}`;
      namespaces.push(own);
      await client.create('/api/v1/namespaces', { metadata: { name: own, labels } });
      // Pods are refused until the controller has made it.
      await eventually(() => client.get(`/api/v1/namespaces/${own}/serviceaccounts/default`));
      return own;
    },
    create: (object) => client.create(pathOf(object), object),
    async close() {
      for (const kind of ['mutating', 'validating']) {
        await client.delete(`${admission}/${kind}webhookconfigurations/${name}`);
      }
      for (const one of namespaces) await client.delete(`/api/v1/namespaces/${one}`);
      await injector.close();
    },
  };
  await untilCalled(inTest);
  return inTest;
}

/** The API server takes a second to see new webhooks, and until then lets everything pass. */
async function untilCalled(inTest: InjectorInTest): Promise<void> {
  const { client } = inTest;
  const home = await inTest.namespace();
  await eventually(async () => {
    const pod = podNamed('probe', home, { annotations: { inject: 'true' } });
    const made = await client.create<KubeResource>(pathOf(pod), pod, { dryRun: 'All' });
    if (made.metadata.annotations?.['sidecar.istio.io/status'] === undefined) {
      throw new Error('the injector was not called');
    }
  });
}

export function podNamed(name: string, namespace: string, metadata: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, ...metadata },
    spec: { containers: [{ name: 'app', image: 'app:1' }] },
  };
}

/** Tries for 20 s. @throws what it threw last */
export async function eventually<T>(action: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** The message with which the API server refuses. */
export async function refusalOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof KubeError) return error.message;
    throw error;
  }
  throw new Error('it was not refused');
}

/** A certificate of a root that can be changed for another, as the CA does it. */
export class RotatingIdentity implements Identity {
  readonly #host: string;
  readonly #listeners: ((svid: Svid) => void)[] = [];
  #roots: TestCa[] = [];
  #svid: Svid | null = null;

  private constructor(host: string) {
    this.#host = host;
  }

  static async make(host: string): Promise<RotatingIdentity> {
    const identity = new RotatingIdentity(host);
    identity.#roots = [await makeTestCa('first root')];
    await identity.sign();
    return identity;
  }

  /** Trusts one root more; certificates are still those of the one before. */
  async addRoot(): Promise<void> {
    this.#roots.push(await makeTestCa('next root'));
    this.#tell({ trustBundlePem: this.#bundle() });
  }

  /** A new certificate, of the newest root. */
  async sign(): Promise<void> {
    const root = this.#roots.at(-1);
    if (root === undefined) throw new Error('there is no root');
    const identity = 'spiffe://cluster.local/ns/selvage-system/sa/selvage-injector';
    const { keyPem, certPem } = await issue(root, { uri: identity, ip: [this.#host] });
    const trustBundlePem = this.#bundle();
    const notAfterMs = Date.now() + 3_600_000;
    this.#tell({ keyPem, chainPem: certPem, trustBundlePem, identity, notAfterMs });
  }

  /** Trusts the newest root alone. */
  dropOldRoots(): void {
    this.#roots = this.#roots.slice(-1);
    this.#tell({ trustBundlePem: this.#bundle() });
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  current(): Svid {
    if (this.#svid === null) throw new Error('there is no certificate');
    return this.#svid;
  }

  onChange(listener: (svid: Svid) => void): void {
    this.#listeners.push(listener);
  }

  stop(): void {
    this.#listeners.length = 0;
  }

  #bundle(): string {
    return this.#roots.map(({ certPem }) => `${certPem.trim()}\n`).join('');
  }

  #tell(change: Partial<Svid>): void {
    const svid = { ...this.#svid, ...change } as Svid;
    this.#svid = svid;
    for (const listener of this.#listeners) listener(svid);
  }
}

function pathOf(object: object): string {
  const { apiVersion, kind, metadata } = object as {
    apiVersion: string;
    kind: string;
    metadata: { namespace: string };
  };
  const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  return `${root}/namespaces/${metadata.namespace}/${pluralOf(kind)}`;
}

/** The address of this machine that the API server sees. */
function ownAddress(server: string): Promise<string> {
  const { hostname, port } = new URL(server);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port === '' ? 443 : port), hostname, () => {
      resolve(socket.localAddress ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

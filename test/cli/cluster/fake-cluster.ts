// A cluster for tests of commands: a fake API server with Istio's kinds, and a control plane that answers what a test says.
import type { Cluster } from '#cli/cluster/cluster.ts';
import { createKubeClient, type KubeClient, type KubeObject } from '#runtime/kubernetes/client.ts';
import type { ExecLimits, ExecTarget } from '#runtime/kubernetes/exec.ts';
import {
  FakeApi,
  type FakeAnswer,
  type NewObject,
  status,
} from '#test/runtime/kubernetes/fake-api.ts';

/** Kinds by group and version, as the real server lists them. */
const served: Readonly<Record<string, readonly (readonly [plural: string, kind: string])[]>> = {
  '/api/v1': [
    ['namespaces', 'Namespace'],
    ['pods', 'Pod'],
    ['services', 'Service'],
    ['serviceaccounts', 'ServiceAccount'],
  ],
  '/apis/apps/v1': [
    ['deployments', 'Deployment'],
    ['statefulsets', 'StatefulSet'],
    ['daemonsets', 'DaemonSet'],
  ],
  '/apis/security.istio.io/v1': [
    ['authorizationpolicies', 'AuthorizationPolicy'],
    ['peerauthentications', 'PeerAuthentication'],
    ['requestauthentications', 'RequestAuthentication'],
  ],
  '/apis/networking.istio.io/v1': [
    ['serviceentries', 'ServiceEntry'],
    ['virtualservices', 'VirtualService'],
    ['destinationrules', 'DestinationRule'],
  ],
  '/apis/gateway.networking.k8s.io/v1': [['httproutes', 'HTTPRoute']],
  '/apis/discovery.k8s.io/v1': [['endpointslices', 'EndpointSlice']],
  '/apis/selvage.dev/v1alpha1': [['ratelimits', 'RateLimit']],
};

export class FakeCluster implements Cluster {
  readonly api: FakeApi;
  readonly client: KubeClient;
  readonly namespace = 'shop';
  /** Commands that ran in pods. */
  readonly ran: ExecTarget[] = [];
  /** What a replica of control answers to a path. */
  control: (path: string, pod: string) => unknown = () => [];
  /** What a command that goes on writes. */
  stream: (target: ExecTarget) => string = () => '';
  /** Paths that are refused with 403. */
  readonly forbidden = new Set<string>();
  /** Answers to `METHOD path`, in place of the server's own. */
  readonly answers = new Map<string, FakeAnswer>();

  static async start(): Promise<FakeCluster> {
    return new FakeCluster(await FakeApi.start());
  }

  private constructor(api: FakeApi) {
    this.api = api;
    this.client = createKubeClient(api.access());
    api.intercept = ({ method, path }) =>
      this.answers.get(`${method} ${path}`) ?? this.#discover(path);
  }

  get server(): string {
    return this.api.url;
  }

  readonly open = async (): Promise<Cluster> => this;

  async exec(
    target: ExecTarget,
    _limits?: ExecLimits,
  ): Promise<{ stdout: string; stderr: string; status: number }> {
    this.ran.push(target);
    const answer = this.control(target.command.at(-1) ?? '', target.pod);
    return { stdout: JSON.stringify(answer), stderr: '', status: 0 };
  }

  /** Lines that a command in a pod writes until it ends, which is at once. */
  async follow(
    target: ExecTarget,
    onStdout: (text: string) => void,
  ): Promise<{ stdout: string; stderr: string; status: number }> {
    this.ran.push(target);
    onStdout(this.stream(target));
    return { stdout: '', stderr: '', status: 0 };
  }

  /** Commands close what they opened; a test may run several. */
  async close(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await this.client.close();
    await this.api.close();
  }

  put(collection: string, object: NewObject): KubeObject {
    return this.api.put(collection, object);
  }

  /** Two ready replicas. */
  installControl(): void {
    const metadata = { name: 'selvage-control', namespace: 'selvage-system' };
    const selector = { matchLabels: { app: 'selvage-control' } };
    const containers = [{ name: 'control', image: 'selvage/selvage:0.1.0' }];
    const spec = { replicas: 2, selector, template: { spec: { containers } } };
    this.put('/apis/apps/v1/deployments', { metadata, spec, status: { readyReplicas: 2 } });
    for (const name of ['selvage-control-a', 'selvage-control-b']) {
      this.pod({ name, namespace: 'selvage-system', labels: { app: 'selvage-control' } });
    }
  }

  namespaceNamed(name: string, labels: Readonly<Record<string, string>> = {}): void {
    this.put('/api/v1/namespaces', { metadata: { name, labels } });
  }

  /** A ready one. */
  pod(metadata: NewObject['metadata'], spec: object = {}, conditions: object[] = [ready]): void {
    const containers = [{ name: 'app', image: 'app:1' }];
    this.put('/api/v1/pods', {
      metadata,
      spec: { containers, ...spec },
      status: { phase: 'Running', conditions },
    });
  }

  #discover(path: string): FakeAnswer | undefined {
    if (this.forbidden.has(path)) return status(403, 'Forbidden', 'you cannot list this');
    const kinds = served[path];
    if (kinds !== undefined) {
      const resources = kinds.map(([name, kind]) => {
        return { name, kind, namespaced: kind !== 'Namespace' };
      });
      return { status: 200, body: { kind: 'APIResourceList', resources } };
    }
    const [, group] = /^\/apis\/([^/]+)$/.exec(path) ?? [];
    if (group === undefined) return undefined;
    const version = Object.keys(served).find((one) => one.startsWith(`${path}/`));
    if (version === undefined) return status(404, 'NotFound', 'no such group');
    const preferredVersion = { version: version.split('/').at(-1) };
    return { status: 200, body: { kind: 'APIGroup', name: group, preferredVersion } };
  }
}

const ready = { type: 'Ready', status: 'True' };

/** The spec of a pod with a sidecar. */
export function meshed(version = '0.1.0'): object {
  const image = `selvage/selvage:${version}`;
  return { initContainers: [{ name: 'selvage-proxy', image }] };
}

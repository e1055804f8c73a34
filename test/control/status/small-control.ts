// A control without its process: resources, snapshots and sessions, with sidecars that acknowledge when they are told to.
import type { AnyResource } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import type { Problem } from '#api/problem.ts';
import { readResource } from '#api/read-resource.ts';
import type { Line } from '#control/push/encode.ts';
import { Session } from '#control/push/session.ts';
import { Sessions } from '#control/push/sessions.ts';
import { Snapshots } from '#control/snapshots.ts';
import { MeshView } from '#control/view.ts';

export class SmallControl {
  readonly snapshots = new Snapshots();
  readonly sessions = new Sessions((hello) => this.snapshots.for(hello), {
    pingEveryMs: 60_000,
    answerTimeoutMs: 60_000,
    ageMaxMs: 3_600_000,
  });
  resources: AnyResource[] = [];
  problems: Problem[] = [];
  readonly #sidecars = new Map<string, Session>();
  /** The version that is on its way to each pod. */
  readonly #sent = new Map<string, number>();

  /** Takes resources as a source gives them: of the invalid ones, what is wrong. */
  take(...values: readonly object[]): void {
    const read = values.map((value) => readResource({ value }));
    this.resources = read.flatMap(({ resource }) => (resource === null ? [] : [resource]));
    this.problems = read.flatMap(({ problems }) => problems);
    const mesh = collectMesh(this.resources);
    this.snapshots.replace(new MeshView(mesh, mesh.requestAuthentications, this.snapshots.view));
    this.sessions.publish(Date.now());
  }

  /** A sidecar of shop/web, which has what it is sent on its way. */
  connect(pod: string): void {
    const hello = {
      type: 'hello',
      namespace: 'shop',
      workload: 'web',
      pod,
      version: '0.1.0',
      have: 0,
    } as const;
    const nothing = { pushed: () => undefined, acked: () => undefined, nacked: () => undefined };
    const writer = {
      write: (line: Line) => void this.#sent.set(pod, versionIn(line)),
      end: () => undefined,
    };
    const session = new Session(hello, 'web', writer, nothing);
    this.#sidecars.set(pod, session);
    this.sessions.add(session);
  }

  disconnect(pod: string): void {
    const session = this.#sidecars.get(pod);
    if (session !== undefined) this.sessions.remove(session);
    this.#sidecars.delete(pod);
  }

  /** Every sidecar, or one, puts in force what it was sent, and what follows on that. */
  acknowledge(pod?: string): void {
    for (const [name, session] of this.#sidecars) {
      if (pod !== undefined && pod !== name) continue;
      for (let version = this.#sent.get(name); version !== undefined;) {
        this.#sent.delete(name);
        session.answer({ type: 'ack', version });
        version = this.#sent.get(name);
      }
    }
  }

  refuse(pod: string, reason: string): void {
    const session = this.#sidecars.get(pod);
    const version = this.#sent.get(pod) ?? 0;
    this.#sent.delete(pod);
    session?.answer({ type: 'nack', version, reason });
  }
}

function versionIn(line: Line): number {
  const { snapshot, delta } = JSON.parse(Buffer.concat(line).toString('utf8')) as {
    snapshot?: { version: number };
    delta?: { to: number };
  };
  return snapshot?.version ?? delta?.to ?? 0;
}

export const webDeployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { serviceAccountName: 'web', containers: [{ name: 'web' }] },
    },
  },
};

/** For shop/web. */
export function policy(name: string, generation: number, over: object = {}): object {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'shop', generation },
    spec: { selector: { matchLabels: { app: 'web' } }, action: 'DENY', rules: [{}], ...over },
  };
}

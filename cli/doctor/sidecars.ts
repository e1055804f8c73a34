// Pods: those that lack a sidecar, those whose sidecar fares badly, is behind, or of another version than control.
import { initName, proxyName } from '#api/injection/names.ts';

import { type Missing, missingSidecar, restartOf } from '../cluster/missing.ts';
import {
  type ContainerState,
  isSidecarRunning,
  type LivePod,
  sidecarOf,
  versionOf,
} from '../cluster/pods.ts';
import type { Sidecar } from '../cluster/sidecars.ts';
import { counted, type Finding, listed, whenKnown } from './finding.ts';
import type { ClusterState } from './state.ts';

/** Reasons, when there are many. */
const shownMax = 5;
/** A pod that has just been made need not be connected yet. */
const startingMs = 60_000;

export function checkMissing({ inventory }: ClusterState): readonly Finding[] {
  const check = 'missing-sidecars';
  return whenKnown(check, inventory, (world) => {
    const missing = world.pods.flatMap((pod) => missingSidecar(pod, world) ?? []);
    if (missing.length === 0) {
      return [{ check, level: 'ok', message: 'every pod that asks for a sidecar has one' }];
    }
    // Replicas of one workload are one thing to do.
    const groups = Map.groupBy(missing, ({ pod, why, mend }) =>
      [pod.namespace, pod.workload.kind, pod.workload.name, why, mend].join('\0'),
    );
    return [...groups.values()].flatMap((group) =>
      group.slice(0, 1).map((first) => describeMissing(check, first, group.length)),
    );
  });
}

function describeMissing(check: string, missing: Missing, count: number): Finding {
  const { pod, why, mend, chosen } = missing;
  const { kind, name } = pod.workload;
  const many = count > 1 ? ` (${count} pods)` : '';
  const message = `${kind} ${pod.namespace}/${name}${many} has no sidecar: ${why}`;
  return { check, level: chosen ? 'note' : 'problem', message, mend };
}

export function checkSync({ inventory, sidecars, nowMs }: ClusterState): readonly Finding[] {
  const check = 'in-sync';
  return whenKnown(check, inventory, ({ pods }) =>
    whenKnown(check, sidecars, (connected) => {
      const known = new Map(connected.map((one) => [`${one.namespace}/${one.pod}`, one]));
      const meshed = pods.filter((pod) => sidecarOf(pod) !== undefined);
      const findings = [
        lost(
          check,
          meshed.filter((pod) => pod.createdMs <= nowMs - startingMs && isSidecarRunning(pod)),
          known,
        ),
        ...refused(check, connected),
        behind(check, connected),
      ].filter((one) => one !== null);
      if (findings.length > 0) return findings;
      const message = `${counted(meshed.length, 'sidecar')}, all in sync with control`;
      return [{ check, level: 'ok', message }];
    }),
  );
}

function lost(
  check: string,
  meshed: readonly LivePod[],
  known: ReadonlyMap<string, Sidecar>,
): Finding | null {
  const names = meshed.map(({ namespace, name }) => `${namespace}/${name}`);
  const absent = names.filter((name) => !known.has(name));
  if (absent.length === 0) return null;
  const message = `${counted(absent.length, 'sidecar')} not connected to control, so that no change reaches it: ${listed(absent)}`;
  const mend = `kubectl logs -n NAMESPACE POD -c ${proxyName}: it says what keeps it from selvage-control:15011`;
  return { check, level: 'problem', message, mend };
}

function refused(check: string, connected: readonly Sidecar[]): Finding[] {
  const reasons = Map.groupBy(
    connected.filter((one) => one.refused !== ''),
    (one) => one.refused,
  );
  return [...reasons].slice(0, shownMax).map(([reason, group]) => {
    const names = group.map(({ namespace, pod }) => `${namespace}/${pod}`);
    const message = `${counted(group.length, 'sidecar')} refused its newest snapshot (${listed(names)}): ${reason}`;
    return { check, level: 'problem', message, mend: 'selvage check --live; selvage status' };
  });
}

function behind(check: string, connected: readonly Sidecar[]): Finding | null {
  const late = connected.filter(({ inSync, refused }) => !inSync && refused === '');
  if (late.length === 0) return null;
  const names = late.map(({ namespace, pod }) => `${namespace}/${pod}`);
  const message = `${counted(late.length, 'sidecar')} behind the newest snapshot: ${listed(names)}`;
  return { check, level: 'warning', message, mend: 'selvage status --watch, whether it stays so' };
}

export function checkVersions({ inventory, deployments }: ClusterState): readonly Finding[] {
  const check = 'versions';
  return whenKnown(check, deployments, (installed) =>
    whenKnown(check, inventory, ({ pods }) => {
      const control = installed.find(({ name }) => name === 'selvage-control');
      const parts = new Set(installed.map(({ image }) => versionOf(image)));
      const version = versionOf(control?.image ?? '');
      if (control === undefined || version === '') return [];
      const other = pods.filter((pod) => {
        const sidecar = sidecarOf(pod);
        return sidecar !== undefined && versionOf(sidecar.image) !== version;
      });
      const findings = [...Map.groupBy(other, workloadOf).values()].flatMap((group) =>
        group.slice(0, 1).map((pod) => describeSkew(check, pod, version)),
      );
      if (parts.size > 1) {
        const message = `control, CA and injector are of different versions: ${[...parts].join(', ')}`;
        const mend = 'finish the upgrade: selvage install | kubectl apply -f -';
        findings.unshift({ check, level: 'warning', message, mend });
      }
      if (findings.length > 0) return findings;
      return [{ check, level: 'ok', message: `everything is of version ${version}` }];
    }),
  );
}

function describeSkew(check: string, pod: LivePod, version: string): Finding {
  const own = versionOf(sidecarOf(pod)?.image ?? '');
  const of = `${pod.workload.kind} ${pod.namespace}/${pod.workload.name}`;
  const message = `${of} has sidecars of version ${own}; control is ${version}`;
  return { check, level: 'warning', message, mend: restartOf(pod) };
}

/** The init container sets up the capture in the pod's network: where the node's kernel cannot, it says so. */
export function checkCapture({ inventory }: ClusterState): readonly Finding[] {
  const check = 'capture';
  return whenKnown(check, inventory, ({ pods }) => {
    const troubled = pods.flatMap((pod) =>
      pod.states
        .filter(({ name, trouble }) => trouble !== '' && (name === initName || name === proxyName))
        .map((state) => ({ pod, state })),
    );
    if (troubled.length === 0) {
      return [{ check, level: 'ok', message: 'no sidecar and no init container is in trouble' }];
    }
    const groups = Map.groupBy(troubled, ({ pod, state }) => `${workloadOf(pod)} ${state.name}`);
    return [...groups.values()].flatMap((group) =>
      group.slice(0, 1).map(({ pod, state }) => describeTrouble(check, pod, state)),
    );
  });
}

function describeTrouble(check: string, pod: LivePod, state: ContainerState): Finding {
  const said = state.message.trim().slice(0, 300);
  const what = `${state.trouble}${said === '' ? '' : `: ${said}`}`;
  const message = `${state.name} of ${pod.namespace}/${pod.name}: ${what}`;
  const logs = `kubectl logs -n ${pod.namespace} ${pod.name} -c ${state.name}`;
  const kernel = `${logs}; does its node's kernel have iptables (nft or legacy), and may the pod have NET_ADMIN?`;
  return { check, level: 'problem', message, mend: state.name === initName ? kernel : logs };
}

function workloadOf({ namespace, workload }: LivePod): string {
  return `${namespace} ${workload.kind} ${workload.name}`;
}

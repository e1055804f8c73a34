// `selvage wait KIND/NAME`: until every sidecar that a resource concerns enforces it as it is now.
import { setTimeout as pass } from 'node:timers/promises';

import { kinds } from '#api/kinds/table.ts';
import { nearest } from '#api/spelling.ts';
import { enforcedKinds } from '#control/status/report.ts';
import { KubeError } from '#runtime/kubernetes/kube-error.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { parseDurationMs } from './cluster/age.ts';
import {
  type Cluster,
  clusterOptions,
  type ClusterValues,
  describeFailure,
  openCluster,
  type OpenCluster,
  runInCluster,
} from './cluster/cluster.ts';
import { askControl } from './cluster/control.ts';
import { getOrNull, pathOf, servedKinds } from './cluster/discovery.ts';
import {
  describeEnforcement,
  type Enforcement,
  enforcementOf,
  isEnforced,
} from './cluster/enforcement.ts';
import type { Io } from './io.ts';

interface WaitOptions extends ClusterValues {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly timeoutMs: number;
}

const pollEveryMs = 500;

/** Exit status 0: all enforce it; 1: not in time; 2: wrong usage, no such resource, or the cluster cannot be asked. */
export async function wait(
  args: string[],
  io: Io,
  open: OpenCluster = openCluster,
): Promise<number> {
  return runInCluster(
    { name: 'wait', io, open },
    () => readOptions(args),
    (cluster, options) => waitFor(cluster, options, io),
  );
}

async function waitFor(cluster: Cluster, options: WaitOptions, io: Io): Promise<number> {
  const { kind, name, timeoutMs, namespace = cluster.namespace } = options;
  const generation = await generationOf(cluster, { ...options, namespace });
  const query = new URLSearchParams({ kind, namespace, name }).toString();
  const subject = `${kind} ${namespace}/${name}`;
  const deadline = performance.now() + timeoutMs;
  let told = '';
  for (;;) {
    const state = await ask(cluster, `/enforced?${query}`);
    if (typeof state !== 'string' && isEnforced(state, generation)) {
      io.stdout.write(`${subject}: ${successOf(state)}\n`);
      return 0;
    }
    const text = typeof state === 'string' ? state : describeEnforcement(state, generation);
    if (performance.now() >= deadline) {
      io.stderr.write(`selvage wait: ${subject}: ${text}, after ${timeoutMs / 1000} s\n`);
      return 1;
    }
    // What stays the same is said once.
    if (text !== told) io.stdout.write(`${subject}: ${text}\n`);
    told = text;
    await pass(Math.min(pollEveryMs, Math.max(0, deadline - performance.now())));
  }
}

/** What control says, or why it says nothing now: it may be restarting. */
async function ask(cluster: Cluster, path: string): Promise<Enforcement | string> {
  try {
    return enforcementOf(await askControl(cluster, path));
  } catch (error) {
    const forbidden = error instanceof KubeError && (error.status === 401 || error.status === 403);
    if (error instanceof CallError || forbidden) throw error;
    return describeFailure(error);
  }
}

function successOf({ enforced, of }: Enforcement): string {
  if (of > 0) return `enforced by ${enforced} of ${of} sidecar${of === 1 ? '' : 's'}`;
  return '0 of 0 sidecars: it applies to no workload that has one, or an older resource takes its place (selvage doctor tells)';
}

/** @throws CallError when the resource is not there */
async function generationOf(
  { client, server }: Cluster,
  { group, kind, namespace, name }: WaitOptions & { readonly namespace: string },
): Promise<number> {
  const served = (await servedKinds(client, group)).find((one) => one.kind === kind);
  if (served === undefined) {
    throw new CallError(`${server} serves no ${kind}: its CRD is not installed`);
  }
  const path = pathOf(served, served.namespaced ? namespace : undefined);
  const found = await getOrNull(client, `${path}/${name}`);
  if (found === null) throw new CallError(`there is no ${kind} ${name} in ${namespace}`);
  return found.metadata.generation ?? 0;
}

function readOptions(args: string[]): WaitOptions {
  const { values, positionals } = readArguments(args, {
    ...clusterOptions,
    namespace: { type: 'string', short: 'n' },
    timeout: { type: 'string' },
  });
  const [what, ...rest] = positionals;
  if (what === undefined || rest.length > 0) {
    throw new CallError('say what to wait for: AuthorizationPolicy/NAME');
  }
  const [, word, name] = /^([A-Za-z]+)\/([a-z0-9.-]+)$/.exec(what) ?? [];
  if (word === undefined || name === undefined) {
    throw new CallError(`"${what}" is not KIND/NAME, as AuthorizationPolicy/admit`);
  }
  const timeoutMs = parseDurationMs(values.timeout ?? '60s');
  if (timeoutMs === null) {
    throw new CallError(`--timeout is a time like 60s or 2m, not "${values.timeout}"`);
  }
  const { kubeconfig, context, namespace } = values;
  return { kubeconfig, context, ...kindOf(word), name, namespace, timeoutMs };
}

/** As kubectl: in any case, one or many. */
function kindOf(word: string): { group: string; kind: string } {
  const enforceable = [...kinds.values()].filter(({ complete }) => complete);
  const given = word.toLowerCase();
  const found = enforceable.find(({ kind }) =>
    [kind, `${kind}s`, kind.replace(/y$/, 'ies')].some((one) => one.toLowerCase() === given),
  );
  if (found !== undefined && !enforcedKinds.has(found.kind)) {
    const { kind } = found;
    throw new CallError(
      `sidecars do not tell which ${kind} they enforce: see its condition Accepted, and \`selvage status\``,
    );
  }
  if (found !== undefined) return found;
  const names = enforceable.map(({ kind }) => kind).filter((kind) => enforcedKinds.has(kind));
  const similar = nearest(word, names);
  const hint = similar === null ? `kinds are ${names.join(', ')}` : `did you mean ${similar}?`;
  throw new CallError(`there is no kind ${word} that sidecars enforce; ${hint}`);
}

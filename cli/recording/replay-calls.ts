// Recorded calls under other policies: which would be decided otherwise, alike ones together.
import type { CallRecord } from '#api/call-record.ts';
import type { MeshResources } from '#api/mesh.ts';
import type { Workload } from '#api/workload.ts';
import type { Judgement } from '#policy/compare/judgement.ts';
import { compilePolicies } from '#policy/compile.ts';
import { normalizePath } from '#policy/path.ts';

import { type MeshModel, policyInputOf } from '../calls/model.ts';
import type { Recording } from './format.ts';
import { type RecordJudge, recordJudge } from './judge-record.ts';
import { pathClasses } from './path-classes.ts';

export interface ChangedCalls {
  /** `namespace/workload`. */
  readonly workload: string;
  /** `namespace/account` or a whole identity; `none`: plaintext. */
  readonly from: string;
  /** `TCP` for bytes. */
  readonly method: string;
  /** A path, or a template of what several have in common; '' for bytes. */
  readonly path: string;
  readonly port: number;
  readonly old: Said;
  readonly new: Said;
  readonly calls: number;
  /** The first of them. */
  readonly example: { readonly at: string; readonly path: string };
}

export interface Said {
  readonly allowed: boolean;
  readonly reason: string;
}

export interface Replayed {
  readonly changed: readonly ChangedCalls[];
  readonly same: number;
  /** Why calls could not be judged, with how many. */
  readonly unknown: ReadonlyMap<string, number>;
  /** Calls that no policy was asked about: broken ones, refused before. */
  readonly unasked: number;
}

/** @param old null: what was recorded */
export async function replayCalls(
  { header, calls }: Recording,
  now: MeshModel,
  old: MeshModel | null,
): Promise<Replayed> {
  const judges = new Judges(header.workloads);
  const classes = classesOf(calls);
  const changed = new Map<string, ChangedCalls>();
  const unknown = new Map<string, number>();
  let [same, unasked] = [0, 0];
  for (const call of calls) {
    if (call.reporter !== 'inbound' || call.verdict === null) {
      unasked += 1;
      continue;
    }
    const both = await judgeBoth(call, judges, now, old);
    if (typeof both === 'string') {
      unknown.set(both, (unknown.get(both) ?? 0) + 1);
    } else if (both.old.allowed === both.new.allowed) same += 1;
    else add(changed, call, classes.get(keyOf(call))?.get(pathOf(call)) ?? pathOf(call), both);
  }
  const sorted = [...changed.values()].toSorted((a, b) => b.calls - a.calls);
  return { changed: sorted, same, unknown, unasked };
}

/** The caller as `--from` of explain takes it. */
export function callerOf({ mtls, source }: CallRecord): string {
  if (!mtls) return 'none';
  const [, namespace, account] =
    /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(source.principal) ?? [];
  return namespace === undefined
    ? source.principal.replace('spiffe://', '')
    : `${namespace}/${account}`;
}

export function calleeOf({ destination }: CallRecord): string {
  return `${destination.namespace}/${destination.workload}`;
}

/** As rules see it by default, without its query. */
export function pathOf({ path }: CallRecord): string {
  const plain = path.replace(/\?.*$/s, '');
  return normalizePath(plain, 'DEFAULT') ?? plain;
}

/** The class of each path, by workload and port. */
export function classesOf(calls: readonly CallRecord[]): Map<string, Map<string, string>> {
  const groups = Map.groupBy(
    calls.filter(({ protocol }) => protocol !== 'TCP'),
    keyOf,
  );
  return new Map([...groups].map(([key, own]) => [key, pathClasses(own.map(pathOf))]));
}

export function keyOf(call: CallRecord): string {
  return `${calleeOf(call)}:${call.port}`;
}

/** What judges the calls of each workload under each set of policies; made once. */
class Judges {
  readonly #recorded: ReadonlyMap<string, Workload>;
  readonly #made = new Map<MeshModel, Map<string, RecordJudge | null>>();

  constructor(recorded: readonly Workload[]) {
    this.#recorded = new Map(recorded.map((one) => [`${one.namespace}/${one.name}`, one]));
  }

  /** Null: nobody knows the labels of the workload, so no policy can be attached to it. */
  of(model: MeshModel, callee: string): RecordJudge | null {
    const known = this.#made.get(model) ?? new Map<string, RecordJudge | null>();
    this.#made.set(model, known);
    let judge = known.get(callee);
    if (judge === undefined) {
      const workload =
        model.workloads.find(({ namespace, name }) => `${namespace}/${name}` === callee) ??
        this.#recorded.get(callee);
      judge = workload === undefined ? null : judgeFor(model.resources, workload);
      known.set(callee, judge);
    }
    return judge;
  }
}

function judgeFor(resources: MeshResources, workload: Workload): RecordJudge {
  return recordJudge(compilePolicies(policyInputOf(resources, workload)));
}

/** A text says why it cannot be done. */
async function judgeBoth(
  call: CallRecord,
  judges: Judges,
  now: MeshModel,
  old: MeshModel | null,
): Promise<{ readonly old: Said; readonly new: Said } | string> {
  const callee = calleeOf(call);
  const before = await saidBefore(call, judges, old);
  if (typeof before === 'string') return before;
  const judge = judges.of(now, callee);
  if (judge === null)
    return `neither the new policies nor the recording has the workload ${callee}`;
  const after = await judge.judge(call, call.details === 'ext_authz_denied' ? false : null);
  if (after.kind === 'unknown') return after.why;
  return { old: before, new: said(after.judgement) };
}

async function saidBefore(
  call: CallRecord,
  judges: Judges,
  old: MeshModel | null,
): Promise<Said | string> {
  if (old === null) {
    const at = call.place === null || call.why.includes(call.place) ? '' : ` (${call.place})`;
    return { allowed: call.verdict === 'allow', reason: `${call.why}${at}` };
  }
  const judge = judges.of(old, calleeOf(call));
  if (judge === null)
    return `neither the old policies nor the recording has the workload ${calleeOf(call)}`;
  const before = await judge.judge(call, call.details === 'ext_authz_denied' ? false : null);
  return before.kind === 'unknown' ? before.why : said(before.judgement);
}

function said({ allowed, reason }: Judgement): Said {
  return { allowed, reason };
}

function add(
  changed: Map<string, ChangedCalls>,
  call: CallRecord,
  path: string,
  { old, new: is }: { readonly old: Said; readonly new: Said },
): void {
  const [workload, from, port] = [calleeOf(call), callerOf(call), call.port];
  const method = call.protocol === 'TCP' ? 'TCP' : call.method;
  const own = call.protocol === 'TCP' ? '' : path;
  const key = JSON.stringify([workload, from, method, own, port, old.allowed]);
  const known = changed.get(key);
  if (known !== undefined) changed.set(key, { ...known, calls: known.calls + 1 });
  else {
    const example = { at: call.at, path: pathOf(call) };
    changed.set(key, { workload, from, method, path: own, port, old, new: is, calls: 1, example });
  }
}

// What an edit of the YAML changes: every call that the policies name, judged before and after.
import { policyTestSpec } from '#api/kinds/policy-test.ts';

import type { MeshCall } from '../calls/mesh-call.ts';
import { CallError } from '../calls/failure.ts';
import { judgeCall } from '../calls/judge-call.ts';
import type { MeshModel } from '../calls/model.ts';

export interface VerdictChange {
  readonly call: MeshCall;
  /** Decision before: `allow`, `deny`, …; `absent`: its workload or caller was not there. */
  readonly before: string;
  readonly after: string;
  /** Why it is as it is now. */
  readonly why: string;
}

/** A mesh of a thousand services names more calls than a person waits for. */
const callsMax = 4000;

/** Compares two readings of the same folder. The order is that of the calls. */
export async function verdictChanges(
  before: MeshModel,
  after: MeshModel,
): Promise<VerdictChange[]> {
  const changes: VerdictChange[] = [];
  for (const call of namedCalls([before, after])) {
    const [was, is] = [await decisionOf(before, call), await decisionOf(after, call)];
    if (was.decision === is.decision) continue;
    changes.push({ call, before: was.decision, after: is.decision, why: is.why });
  }
  return changes;
}

/** Every caller x workload x method and path that some policy names, and the calls of the PolicyTests. */
export function namedCalls(models: readonly MeshModel[]): MeshCall[] {
  const calls = new Map<string, MeshCall>();
  const add = (call: MeshCall): void => {
    if (calls.size < callsMax) calls.set(JSON.stringify(call), call);
  };
  for (const model of models) for (const call of testCalls(model)) add(call);
  const callers = unique(models.flatMap((m) => [...callersOf(m), 'none']));
  const workloads = unique(models.flatMap(workloadsOf));
  for (const to of workloads) {
    const operations = operationsFor(models, to);
    for (const from of callers) {
      for (const { method, path } of operations) add({ from, to, method, path });
    }
  }
  return [...calls.values()];
}

function testCalls(model: MeshModel): MeshCall[] {
  return model.tests.flatMap(({ document }) => {
    const spec = policyTestSpec.safeParse(document['spec']);
    if (!spec.success) return [];
    return spec.data.calls.map((call): MeshCall => {
      const { from, to, port, method, path, host, headers, token, ip, tcp, authorizer } = call;
      return { from, to, port, method, path, host, headers, token, ip, tcp, authorizer };
    });
  });
}

function callersOf(model: MeshModel): string[] {
  return model.workloads.map((w) => `${w.namespace}/${w.serviceAccount}`);
}

function workloadsOf(model: MeshModel): string[] {
  return model.workloads.map((w) => `${w.namespace}/${w.name}`);
}

interface Operation {
  readonly method: string;
  readonly path: string;
}

/** The methods and paths that policies of the workload's namespace (or the root's) name, in all pairs. */
function operationsFor(models: readonly MeshModel[], to: string): Operation[] {
  const namespace = to.split('/')[0];
  const methods = new Set(['GET']);
  const paths = new Set(['/']);
  for (const { resources } of models) {
    for (const { metadata, spec } of resources.authorizationPolicies) {
      const root = resources.meshConfig.rootNamespace;
      if (metadata.namespace !== namespace && metadata.namespace !== root) continue;
      const operations = (spec.rules ?? []).flatMap((rule) => rule.to ?? []);
      for (const { operation } of operations) {
        for (const value of [operation?.methods, operation?.notMethods].flatMap((v) => v ?? [])) {
          if (/^[A-Z]+$/.test(value)) methods.add(value);
        }
        for (const value of [operation?.paths, operation?.notPaths].flatMap((v) => v ?? [])) {
          for (const path of examplesOf(value)) paths.add(path);
        }
      }
    }
  }
  return [...paths].flatMap((path) => [...methods].map((method) => ({ method, path })));
}

/** Paths that a pattern matches, one for its ends: `/a/*` -> `/a/x`. */
function examplesOf(pattern: string): string[] {
  const path = pattern.replaceAll('{**}', 'x').replaceAll('{*}', 'x').replaceAll('*', 'x');
  return [path.startsWith('/') ? path : `/${path}`];
}

async function decisionOf(
  model: MeshModel,
  call: MeshCall,
): Promise<{ readonly decision: string; readonly why: string }> {
  try {
    const { outcome } = await judgeCall(model, call);
    return { decision: outcome.decision, why: outcome.reason };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    return { decision: 'absent', why: error.message };
  }
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}

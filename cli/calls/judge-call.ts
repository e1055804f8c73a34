// Judges a call of the mesh that some YAML describes.
import type { MeshWorkload } from '#api/mesh.ts';
import type { CompiledPolicies } from '#policy/compile.ts';
import { judge, type Outcome } from '#policy/judge.ts';
import type { RecordedCall } from '#policy/judge/call.ts';

import { resolveCall } from './call.ts';
import { limitsOf, type MetLimit } from './limits.ts';
import { type MetExtension, metExtensions } from './met-extensions.ts';
import type { MeshCall } from './mesh-call.ts';
import type { MeshModel } from './model.ts';

export interface JudgedCall {
  readonly call: MeshCall;
  readonly recorded: RecordedCall;
  readonly workload: MeshWorkload;
  readonly outcome: Outcome;
  /** What the callee's sidecar enforces. */
  readonly policies: CompiledPolicies;
  /** Of the port that is called. */
  readonly mtls: { readonly mode: string; readonly policy: string; readonly at: string | null };
  /** Limits that the call meets once it is allowed. */
  readonly limits: readonly MetLimit[];
  /** What else of our own kinds takes part then. */
  readonly extensions: readonly MetExtension[];
}

/** Takes a call the way through the callee's sidecar. @throws CallError for an unknown workload or account */
export async function judgeCall(model: MeshModel, call: MeshCall): Promise<JudgedCall> {
  const { workload, recorded } = resolveCall(model, call);
  const policies = model.policiesOf(workload);
  const allowed = call.authorizer === 'allow';
  const outcome = await judge(policies, recorded, {
    authorizer: async () => allowed,
    claims: call.token,
    apiKeys: model.apiKeysOf(workload),
  });
  const met = model.extensionsOf(workload);
  const limits = limitsOf(met, outcome, policies.trustDomains);
  const extensions = metExtensions(met, outcome);
  const mtls = policies.mtls(recorded.destination.port);
  return { call, recorded, workload, outcome, policies, mtls, limits, extensions };
}

// `selvage/test`: policies in your own tests. One mesh from YAML, and calls that are allowed or denied, with the reason.
import type { Decision, NearMiss } from '#policy/verdict.ts';

import type { MeshCall } from './calls/mesh-call.ts';
import { CallError } from './calls/failure.ts';
import { judgeCall, type JudgedCall } from './calls/judge-call.ts';
import { loadModel } from './calls/model.ts';
import { formatProblem } from './calls/problems.ts';
import { renderText } from './calls/render.ts';

export type {
  FilterAnswer,
  FilterHeaderEdits,
  FilterHeaders,
  FilterRequest,
  FilterRequestEdits,
  FilterResponse,
  FilterResponseEdits,
  OnRequest,
  OnResponse,
} from '#api/filter.ts';
export type { MeshCall } from './calls/mesh-call.ts';

/** What would become of a call. */
export interface CallOutcome {
  /**
   * `allow`; `deny` (403); `unauthenticated` (401); `badrequest` (400); `closed`: the connection is refused (mutual
   * TLS, or a TCP rule); `other`: another status.
   */
  readonly decision: Decision;
  /** HTTP status; 200 stands for the application's own answer, 0 for none. */
  readonly status: number;
  /** `namespace/name` of the policy that decided; null: none did. */
  readonly policy: string | null;
  /** Index of its rule, as written. */
  readonly rule: number | null;
  /** One sentence, with the file and line of the rule. */
  readonly reason: string;
  /** For a denial because no rule allows: the rule that came nearest, and what did not match. */
  readonly nearest: NearMiss | null;
  /** The whole explanation in lines, as `selvage explain` prints it. */
  readonly explanation: string;
}

/** A mesh under test. */
export interface TestMesh {
  /**
   * What would become of a call.
   * @throws Error for a workload or service account that is not in the YAML; it lists those that are
   */
  call(call: MeshCall): Promise<CallOutcome>;
  /** Resolves when the call is allowed. @throws Error with the whole explanation when it is not */
  allows(call: MeshCall): Promise<CallOutcome>;
  /**
   * Resolves when the call is denied by policy: 403, 401, or a closed connection.
   * @param by `namespace/policy` that must have decided; any by default
   * @throws Error with the whole explanation when it is not
   */
  denies(call: MeshCall, by?: string): Promise<CallOutcome>;
}

/**
 * Loads a mesh from YAML files and folders, relative to the working directory.
 *
 *     import { mesh } from 'selvage/test';
 *     const shop = await mesh('manifests/');
 *     await shop.allows({ from: 'shop/web', to: 'billing/payments', method: 'POST', path: '/charges' });
 *     await shop.denies({ from: 'none', to: 'billing/payments' });
 *
 * @throws Error when a file cannot be read or a resource is invalid: a policy left out would change the answers
 */
export async function mesh(...paths: string[]): Promise<TestMesh> {
  const model = await loadModel(paths, process.cwd());
  const errors = model.problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new CallError(errors.map(formatProblem).join('\n'));
  const ask = async (call: MeshCall): Promise<CallOutcome> =>
    outcomeOf(await judgeCall(model, call));
  return {
    call: ask,
    allows: async (call) => {
      const outcome = await ask(call);
      if (outcome.decision === 'allow') return outcome;
      throw new Error(`the call is not allowed\n${outcome.explanation}`);
    },
    denies: async (call, by) => {
      const outcome = await ask(call);
      const denied = denials.has(outcome.decision);
      if (denied && (by === undefined || outcome.policy === by)) return outcome;
      const wanted = by === undefined ? 'denied' : `denied by ${by}`;
      throw new Error(`the call is not ${wanted}\n${outcome.explanation}`);
    },
  };
}

const denials: ReadonlySet<Decision> = new Set(['deny', 'unauthenticated', 'closed']);

function outcomeOf(judged: JudgedCall): CallOutcome {
  const { decision, status, verdict, reason, explanation } = judged.outcome;
  const named = verdict !== null && verdict.policy !== '';
  return {
    decision,
    status,
    policy: named ? `${verdict.namespace}/${verdict.policy}` : null,
    rule: named ? verdict.rule : null,
    reason,
    nearest: explanation?.nearest ?? null,
    explanation: renderText(judged, false),
  };
}

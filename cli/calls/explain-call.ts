// A call from the caller's sidecar to the callee's verdict: what the route makes of it is what the callee judges.
import { resolveCall } from './call.ts';
import { type InboundRule, inboundRuleOf } from './inbound-rule.ts';
import { judgeCall, type JudgedCall } from './judge-call.ts';
import type { MeshCall } from './mesh-call.ts';
import type { MeshModel } from './model.ts';
import { editHeaders } from './way-headers.ts';
import { reaches, wayOf, type Way } from './way.ts';

export interface ExplainedCall {
  /** Its `call` is the one that was asked about. */
  readonly judged: JudgedCall;
  /** Null: no workload with a sidecar makes this call. */
  readonly way: Way | null;
  /** Null: its sidecar does nothing of its own with it, or refuses it. */
  readonly inbound: InboundRule | null;
}

/** @throws CallError for an unknown workload or account */
export async function explainCall(model: MeshModel, call: MeshCall): Promise<ExplainedCall> {
  const { recorded, workload } = resolveCall(model, call);
  const way = await wayOf(model, recorded);
  const judged = await judgeCall(
    model,
    way !== null && reaches(way, workload) ? asForwarded(call, way) : call,
  );
  const isAllowed = judged.outcome.decision === 'allow';
  const { port } = recorded.destination;
  const inbound = isAllowed ? inboundRuleOf(model, workload, port) : null;
  return { judged: { ...judged, call }, way, inbound };
}

/** With the edits of the route, and of its destination where that is the only one. */
function asForwarded(call: MeshCall, { route, rewritten }: Way): MeshCall {
  const http = route?.http ?? null;
  if (http === null || http.action.kind !== 'forward') return call;
  const [only, ...others] = http.action.destinations;
  const edits = [http.headers, others.length === 0 ? only?.headers : undefined];
  const headers = editHeaders(
    call.headers ?? {},
    edits.map((one) => one?.request ?? {}),
  );
  return { ...call, ...rewritten, headers };
}

// What the sidecars of the called workload themselves say of a call: by the snapshot that each enforces.
import type { Decision, Explanation } from '#policy/verdict.ts';
import { identitiesOf, hostsOf } from '#policy/judge/call.ts';

import { JsonFields, parseJsonList } from '../cluster/json-fields.ts';
import { printable } from '../printable.ts';
import { askAll, type Failure } from '../sidecars/ask-all.ts';
import type { AskableSidecar } from '../sidecars/source.ts';
import { paint } from '../table.ts';
import type { JudgedCall } from './judge-call.ts';

/** Of one sidecar. */
export interface EnforcedAnswer {
  /** `payments/payments-0`. */
  readonly pod: string;
  /** A number of one replica of control: others count on their own. */
  readonly snapshot: number;
  readonly decision: Decision;
  readonly status: number;
  readonly details: string;
  /** Mode of the port. */
  readonly mtls: string;
  readonly explanation: Explanation;
}

export interface EnforcedAnswers {
  /** In the order of the pods' names. */
  readonly answers: readonly EnforcedAnswer[];
  readonly failures: readonly Failure[];
}

/** Replicas that are asked. */
const askedMax = 16;

/** @param judged what the caller's sidecar makes of the call is in it already */
export async function askCallee(
  sidecars: readonly AskableSidecar[],
  judged: JudgedCall,
): Promise<EnforcedAnswers> {
  const { namespace, name } = judged.workload;
  const own = sidecars.filter((one) => one.namespace === namespace && one.workload === name);
  const body = questionOf(judged);
  const { answers, failures } = await askAll(own.slice(0, askedMax), async (sidecar) =>
    answerOf(`${sidecar.namespace}/${sidecar.pod}`, await sidecar.post('/explain', body)),
  );
  const known = answers.map(({ value }) => value);
  return { answers: known.toSorted((a, b) => (a.pod < b.pod ? -1 : 1)), failures };
}

/** The call with what the sidecar says in place of what the resources say. */
export function asEnforced(judged: JudgedCall, answer: EnforcedAnswer): JudgedCall {
  const { decision, status, details, mtls, explanation } = answer;
  const { summary: reason, verdict } = explanation;
  const same = decision === judged.outcome.decision;
  return {
    ...judged,
    outcome: { ...judged.outcome, decision, status, details, verdict, explanation, reason },
    mtls:
      mtls === judged.mtls.mode ? judged.mtls : { mode: mtls, policy: 'its snapshot', at: null },
    // What the call meets once it is allowed is known for the verdict of the resources only.
    limits: same ? judged.limits : [],
    extensions: same ? judged.extensions : [],
  };
}

/** Who enforces it, who does otherwise, and whether the resources say something else. Indented. */
export function enforcedLines(
  judged: JudgedCall,
  { answers }: EnforcedAnswers,
  tty: boolean,
): string[] {
  const [first] = answers;
  if (first === undefined) return [];
  const others = answers.filter((one) => !isSame(one, first));
  const same = answers.filter((one) => isSame(one, first)).map(podWords);
  const lines = [paint(`enforced by ${same.join(', ')}`, 'dim', tty)];
  for (const one of others) {
    const reason = printable(one.explanation.summary);
    lines.push(paint(`${podWords(one)} says otherwise: ${one.decision}, ${reason}`, 'yellow', tty));
  }
  const { outcome } = judged;
  if (answers.some(({ decision }) => decision !== outcome.decision)) {
    const note = `note: by the resources as they are now it is ${outcome.decision} (${outcome.reason}): not every sidecar enforces them yet`;
    lines.push(paint(note, 'yellow', tty));
  }
  return lines.map((line) => `  ${line}`);
}

/** Of another reason too: what only happens to come out the same may not tomorrow. */
function isSame(one: EnforcedAnswer, other: EnforcedAnswer): boolean {
  return one.decision === other.decision && one.explanation.summary === other.explanation.summary;
}

function podWords({ pod, snapshot }: EnforcedAnswer): string {
  return `${pod} (snapshot ${snapshot})`;
}

function questionOf({ recorded, call }: JudgedCall): object {
  const { source, destination, method, path, headers } = recorded;
  const [authority] = hostsOf(recorded);
  const identities = source.identity === null ? [] : identitiesOf(source.identity);
  const { token = null, authorizer = 'deny' } = call;
  const from = { port: destination.port, identities, sourceIp: source.ip, authorizer };
  if (recorded.kind === 'tcp') return { ...from, tcp: true };
  return { ...from, method, path, authority, headers, token };
}

const decisions: readonly Decision[] = [
  'allow',
  'deny',
  'unauthenticated',
  'badrequest',
  'closed',
  'other',
];

/** @throws Error for what is no answer */
function answerOf(pod: string, value: unknown): EnforcedAnswer {
  const fields = new JsonFields(value);
  const decision = decisions.find((one) => one === fields.text('decision'));
  if (decision === undefined) throw new Error(`the sidecar of ${pod} gives no decision`);
  return {
    pod,
    snapshot: fields.number('snapshot') ?? 0,
    decision,
    status: fields.number('status') ?? 0,
    details: fields.text('details'),
    mtls: fields.text('mtls'),
    explanation: explanationOf(fields.inner('explanation'), decision === 'allow'),
  };
}

function explanationOf(fields: JsonFields, allowed: boolean): Explanation {
  const verdict = fields.inner('verdict');
  const decidedBy = verdict.text('decidedBy');
  const near = fields.inner('nearest');
  return {
    verdict: {
      allowed,
      decidedBy:
        decidedBy === 'ALLOW' || decidedBy === 'DENY' || decidedBy === 'CUSTOM'
          ? decidedBy
          : 'NONE',
      namespace: verdict.text('namespace'),
      policy: verdict.text('policy'),
      rule: verdict.number('rule') ?? -1,
      details: verdict.text('details'),
    },
    summary: fields.text('summary'),
    at: fields.text('at') || null,
    nearest:
      near.text('policy') === ''
        ? null
        : {
            namespace: near.text('namespace'),
            policy: near.text('policy'),
            rule: near.number('rule') ?? 0,
            at: near.text('at') || null,
            matched: near.texts('matched'),
            missed: parseJsonList(near.value('missed')).map((miss) => ({
              field: miss.text('field'),
              wanted: miss.texts('wanted'),
              got: miss.text('got'),
              at: miss.text('at') || null,
            })),
          },
    audited: fields.texts('audited'),
    dryRun: fields.texts('dryRun'),
  };
}

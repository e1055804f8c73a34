// What became of a call, for people and as data: the verdict first, then the rule, then what was nearest.
import type { Miss } from '#policy/verdict.ts';

import { type Colour, paint } from '../table.ts';
import type { MeshCall } from './mesh-call.ts';
import { renderLimit } from './limits.ts';
import { renderExtension } from './met-extensions.ts';
import type { JudgedCall } from './judge-call.ts';

/** `POST /charges from shop/web to billing/payments:8080`. */
export function describeCall(call: MeshCall, port: number | undefined): string {
  const what = call.tcp === true ? 'TCP' : `${call.method ?? 'GET'} ${call.path ?? '/'}`;
  return `${what} from ${call.from} to ${call.to}${port === undefined ? '' : `:${port}`}`;
}

/**
 * The whole explanation, indented under its verdict. Ends with a line end.
 * @param way what the caller's sidecar does with the call
 */
export function renderText(judged: JudgedCall, tty: boolean, way: readonly string[] = []): string {
  const { outcome, call, recorded } = judged;
  const word = paint(verdictWord(judged), outcome.decision === 'allow' ? 'green' : 'red', tty);
  const head = `${word}  ${describeCall(call, recorded.destination.port)}\n`;
  return head + [...way, ...reasonLines(judged, tty)].map((line) => `  ${line}\n`).join('');
}

/** Why, line by line, without the verdict itself. */
export function reasonLines(judged: JudgedCall, tty: boolean): string[] {
  const { outcome, call } = judged;
  const lines = [mainReason(judged)];
  const nearest = outcome.explanation?.nearest;
  if (nearest !== undefined && nearest !== null) {
    const policy = `${nearest.namespace}/${nearest.policy}`;
    lines.push(...nearestLines({ ...nearest, policy }, tty));
  }
  const { authorizer, explanation } = outcome;
  if (authorizer !== null) {
    const answer = authorizer.allowed ? 'allow' : 'refuse';
    lines.push(`the authorizer ${authorizer.provider} was asked, and taken to ${answer}`);
  }
  for (const rule of explanation?.audited ?? []) lines.push(`audited by ${rule}`);
  lines.push(...(explanation?.dryRun ?? []));
  for (const limit of judged.limits) lines.push(renderLimit(limit));
  for (const met of judged.extensions) lines.push(renderExtension(met));
  const { mode, policy, at } = judged.mtls;
  const by = policy === '' ? 'by default' : `by ${policy}${at === null ? '' : ` (${at})`}`;
  lines.push(paint(`mutual TLS: ${mode} ${by}`, 'dim', tty));
  for (const note of notesOn(judged)) lines.push(paint(`note: ${note}`, 'yellow', tty));
  if (!judged.workload.injected) {
    const note = `no sidecar is injected into ${call.to} (label it inject: "true"): nothing enforces this`;
    lines.push(paint(`note: ${note}`, 'yellow', tty));
  }
  return lines;
}

/** What the author of the call may have overlooked. */
function notesOn({ call, recorded, workload, outcome }: JudgedCall): string[] {
  const { port } = recorded.destination;
  const declared = workload.ports.map((one) => one.port);
  if (!declared.includes(port) && declared.length > 0) {
    return [`${call.to} declares no port ${port}; it declares ${declared.join(', ')}`];
  }
  if (call.tcp === true && outcome.protocol === 'http') {
    return [`port ${port} carries HTTP: bytes that are none are no request there`];
  }
  return [];
}

/** The same as data, for other programs; its fields only grow. */
export function renderJson(judged: JudgedCall): Readonly<Record<string, unknown>> {
  const { outcome, recorded } = judged;
  const { decision, status, details, verdict, explanation, protocol, authorizer } = outcome;
  const named = verdict !== null && verdict.policy !== '';
  return {
    decision,
    status,
    details,
    protocol,
    policy: named ? `${verdict.namespace}/${verdict.policy}` : null,
    rule: named ? verdict.rule : null,
    at: explanation?.at ?? null,
    reason: outcome.reason,
    nearest: explanation?.nearest ?? null,
    audited: explanation?.audited ?? [],
    dryRun: explanation?.dryRun ?? [],
    authorizer,
    limits: judged.limits,
    extensions: judged.extensions,
    sidecar: judged.workload.injected,
    mtls: judged.mtls,
    call: recorded,
  };
}

function verdictWord({ outcome }: JudgedCall): string {
  const { decision, status } = outcome;
  const words: Readonly<Record<typeof decision, string>> = {
    allow: '✓ ALLOWED',
    deny: '✗ DENIED',
    unauthenticated: '✗ UNAUTHENTICATED',
    badrequest: '✗ BAD REQUEST',
    closed: '✗ CLOSED',
    other: '✗ REFUSED',
  };
  return decision === 'allow' || status === 0 ? words[decision] : `${words[decision]} ${status}`;
}

function mainReason({ outcome: { explanation, reason } }: JudgedCall): string {
  return explanation === null ? reason : withoutNearest(explanation.summary);
}

/** What decided, where lines of its own say what came nearest. */
export function withoutNearest(summary: string): string {
  return summary.split('; nearest is ')[0] ?? summary;
}

/** The rule that came nearest to allowing a call. */
export interface NearestRule {
  /** `payments/admit`. */
  readonly policy: string;
  readonly rule: number;
  readonly at: string | null;
  readonly matched: readonly string[];
  readonly missed: readonly Miss[];
}

export function nearestLines(nearest: NearestRule, tty: boolean): string[] {
  const { policy, rule, at, matched, missed } = nearest;
  const lines = [`nearest: ${policy} rule ${rule}${place(at)}`];
  for (const field of matched) lines.push(`  ${mark('✓', 'green', tty)} ${field}`);
  for (const miss of missed) lines.push(...missLines(miss, tty));
  return lines;
}

function missLines({ field, wanted, got, at }: Miss, tty: boolean): string[] {
  return [
    `  ${mark('✗', 'red', tty)} ${field}${place(at)}`,
    `      wanted  ${wanted.join('  or  ')}`,
    `      got     ${got}`,
  ];
}

function mark(text: string, colour: Colour, tty: boolean): string {
  return paint(text, colour, tty);
}

function place(at: string | null): string {
  return at === null ? '' : ` (${at})`;
}

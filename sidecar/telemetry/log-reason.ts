// Why a request was let through or refused, for its log line and for /why: made once for each verdict,
// and for refusals as often as a budget allows, since a full explanation costs more than a request.
import type { Explanation, Miss, Verdict } from '#policy/verdict.ts';

import type { Exchange } from '../exchange.ts';
import type { Enforced } from '../in-force.ts';
import { redacted, secretHeadersOf } from '../observe/secrets.ts';
import { asciiJson } from './escape.ts';
import type { LogRecord } from './log-record.ts';
import type { ReasonSource, TcpSession } from './types.ts';

export interface ReasonFields {
  readonly why: string | null;
  readonly policy: string | null;
  readonly rule: number | null;
  readonly at: string | null;
  readonly nearest: unknown;
}

export class LoggedReason {
  readonly fields: ReasonFields;
  /** What dry-run policies would have said; null: they were not asked. */
  readonly dryRun: readonly string[] | null;
  #json = '';

  constructor(fields: Partial<ReasonFields>, dryRun: readonly string[] | null = null) {
    const { why = null, policy = null, rule = null, at = null, nearest = null } = fields;
    this.fields = { why, policy, rule, at, nearest };
    this.dryRun = dryRun;
  }

  /** Ends a line's object: `,"why":…,"policy":…,"rule":…,"at":…,"nearest":…`. */
  get json(): string {
    if (this.#json === '') this.#json = `,${asciiJson(this.fields).slice(1, -1)}`;
    return this.#json;
  }
}

/** Full explanations in each second; refusals beyond them say what describe() says. */
export const explanationsPerSecond = 50;

export class Reasons {
  private readonly source: ReasonSource | null;
  private readonly byVerdict = new WeakMap<Verdict, LoggedReason>();
  private readonly byText = new Map<string, LoggedReason>();
  private second = 0;
  private spent = 0;

  constructor(source: ReasonSource | null) {
    this.source = source;
  }

  of(record: LogRecord): LoggedReason {
    const { exchange, session, refusal } = record;
    if (refusal !== null) {
      return new LoggedReason({ why: refusal.reason, at: refusal.at });
    }
    const verdict = exchange?.verdict ?? session?.verdict ?? null;
    // Let through by policy, and refused after it.
    if (exchange?.failure?.why !== undefined) return this.ofText(exchange.failure.why);
    if (verdict === null) return this.withoutVerdict(exchange);
    const subject = exchange ?? session;
    return verdict.allowed || subject === null
      ? this.ofVerdict(verdict, record)
      : this.ofRefusal(subject, verdict, record);
  }

  /** Asked for by each log and by /why: they get the same, and it is explained once. */
  private ofRefusal(
    subject: Exchange | TcpSession,
    verdict: Verdict,
    record: LogRecord,
  ): LoggedReason {
    if (subject.reason instanceof LoggedReason) return subject.reason;
    const explanation = this.afford() ? this.explain(record) : null;
    const reason =
      explanation === null
        ? this.ofVerdict(verdict, record)
        : ofExplanation(explanation, subject.enforced);
    subject.reason = reason;
    return reason;
  }

  private ofVerdict(verdict: Verdict, record: LogRecord): LoggedReason {
    const known = this.byVerdict.get(verdict);
    if (known !== undefined) return known;
    // The place of an allowing rule is the same for all that it allows: asked for once.
    const at = verdict.allowed ? this.explain(record)?.at : null;
    const reason = new LoggedReason({
      why: this.describe(verdict, record),
      ...policyOf(verdict),
      at: at ?? null,
    });
    this.byVerdict.set(verdict, reason);
    return reason;
  }

  /** Refused or answered before policy was asked: malformed, no route, bad token. */
  private withoutVerdict(exchange: Exchange | null): LoggedReason {
    const failure = exchange?.failure;
    if (!failure) return nothing;
    return this.ofText(`${failure.code}: ${exchange?.details || failure.details}`);
  }

  private ofText(text: string): LoggedReason {
    const known = this.byText.get(text);
    if (known !== undefined) return known;
    const reason = new LoggedReason({ why: text.slice(0, 512) });
    if (this.byText.size < 100) this.byText.set(text, reason);
    return reason;
  }

  private describe(verdict: Verdict, { session }: LogRecord): string {
    try {
      return this.source?.describe(verdict, session === null ? 'http' : 'tcp') ?? verdict.details;
    } catch {
      return verdict.details;
    }
  }

  /** Null when its policies are gone, or explaining failed: a log line must never fail a request. */
  private explain({ exchange, session }: LogRecord): Explanation | null {
    if (this.source === null) return null;
    try {
      if (exchange !== null) return this.source.explain(exchange);
      return session === null ? null : this.source.explainTcp(session);
    } catch {
      return null;
    }
  }

  private afford(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.second) {
      this.second = second;
      this.spent = 0;
    }
    return this.spent++ < explanationsPerSecond;
  }
}

const nothing: LoggedReason = new LoggedReason({});
const missesMax = 8;

function ofExplanation(explanation: Explanation, enforced: Enforced | null): LoggedReason {
  const { summary, verdict, at, nearest, dryRun } = explanation;
  const fields = { ...policyOf(verdict), at };
  if (nearest === null) return new LoggedReason({ ...fields, why: clip(summary) }, dryRun);
  const secrets = nearest.missed.filter((miss) => isSecret(miss, enforced));
  const told = {
    policy: `${nearest.namespace}/${nearest.policy}`,
    rule: nearest.rule,
    at: nearest.at,
    matched: nearest.matched,
    missed: nearest.missed.slice(0, missesMax).map((miss) => ({
      field: miss.field,
      wanted: secrets.includes(miss) ? [redacted] : miss.wanted.slice(0, 8),
      got: secrets.includes(miss) ? redacted : clip(miss.got),
      at: miss.at,
    })),
  };
  const why = clip(secrets.reduce(withoutSecret, summary));
  return new LoggedReason({ ...fields, why, nearest: told }, dryRun);
}

/** A condition on a header that carries credentials: both what it wants and what came are secret. */
function isSecret({ field, got }: Miss, enforced: Enforced | null): boolean {
  const [, header] = /^when\[request\.headers\[(.+)\]\]$/.exec(field) ?? [];
  return header !== undefined && got !== '(none)' && secretHeadersOf(enforced)(header);
}

/** The summary says it as `field is got, not wanted`. */
function withoutSecret(summary: string, { field, wanted, got }: Miss): string {
  const said = `${field} is ${got}, not ${wanted.join(' or ')}`;
  return summary.replace(said, () => `${field} is ${redacted}, not ${redacted}`);
}

function policyOf(verdict: Verdict): Pick<ReasonFields, 'policy' | 'rule'> {
  return {
    policy: verdict.policy === '' ? null : `${verdict.namespace}/${verdict.policy}`,
    rule: verdict.rule < 0 ? null : verdict.rule,
  };
}

function clip(text: string): string {
  return text.length > 1024 ? `${text.slice(0, 1024)}...` : text;
}

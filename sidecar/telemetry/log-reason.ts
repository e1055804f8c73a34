// Why a request was let through or refused, as JSON for its log line: made once for each verdict,
// and for refusals as often as a budget allows, since a full explanation costs more than a request.
import type { Explanation, Verdict } from '#policy/verdict.ts';

import type { Exchange } from '../exchange.ts';
import { asciiJson } from './escape.ts';
import type { LogRecord } from './log-record.ts';
import type { ReasonSource } from './types.ts';

/** Ends the line's object: `,"why":…,"policy":…,"rule":…,"at":…,"nearest":…`. */
export interface LoggedReason {
  readonly json: string;
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
      return made({ why: refusal.reason, at: refusal.at });
    }
    const verdict = exchange?.verdict ?? session?.verdict ?? null;
    // Let through by policy, and refused after it.
    if (exchange?.failure?.why !== undefined) return this.ofText(exchange.failure.why);
    if (verdict === null) return this.withoutVerdict(exchange);
    if (!verdict.allowed && this.afford()) {
      const explanation = this.explain(record);
      if (explanation !== null) return made(ofExplanation(explanation));
    }
    return this.ofVerdict(verdict, record);
  }

  private ofVerdict(verdict: Verdict, record: LogRecord): LoggedReason {
    const known = this.byVerdict.get(verdict);
    if (known !== undefined) return known;
    // The place of an allowing rule is the same for all that it allows: asked for once.
    const at = verdict.allowed ? this.explain(record)?.at : null;
    const reason = made({
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
    const reason = made({ why: text.slice(0, 512) });
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

interface ReasonFields {
  why: string | null;
  policy?: string | null;
  rule?: number | null;
  at?: string | null;
  nearest?: unknown;
}

function made(fields: ReasonFields): LoggedReason {
  const { why, policy = null, rule = null, at = null, nearest = null } = fields;
  const json = asciiJson({ why, policy, rule, at, nearest });
  return { json: `,${json.slice(1, -1)}` };
}

const nothing: LoggedReason = made({ why: null });

function ofExplanation(explanation: Explanation): ReasonFields {
  const { summary, verdict, at, nearest } = explanation;
  const fields: ReasonFields = { why: clip(summary), ...policyOf(verdict), at };
  if (nearest !== null) {
    fields.nearest = {
      policy: `${nearest.namespace}/${nearest.policy}`,
      rule: nearest.rule,
      at: nearest.at,
      matched: nearest.matched,
      missed: nearest.missed.slice(0, 8).map((miss) => ({
        field: miss.field,
        wanted: miss.wanted.slice(0, 8),
        got: clip(miss.got),
        at: miss.at,
      })),
    };
  }
  return fields;
}

function policyOf(verdict: Verdict): { policy: string | null; rule: number | null } {
  return {
    policy: verdict.policy === '' ? null : `${verdict.namespace}/${verdict.policy}`,
    rule: verdict.rule < 0 ? null : verdict.rule,
  };
}

function clip(text: string): string {
  return text.length > 1024 ? `${text.slice(0, 1024)}...` : text;
}

// Why policy denied a call, in one sentence for its span: what decided, and what came nearest to allowing it.
import type { Explanation, NearMiss, Verdict } from '#policy/verdict.ts';

import type { Exchange } from '../../exchange.ts';
import { explanationsPerSecond } from '../log-reason.ts';
import type { ReasonSource, TcpSession } from '../types.ts';

const sentenceCharsMax = 1024;
const missesShown = 3;

export class Denials {
  private readonly source: ReasonSource | null;
  private readonly described = new WeakMap<Verdict, string>();
  private second = 0;
  private spent = 0;

  constructor(source: ReasonSource | null) {
    this.source = source;
  }

  ofRequest(x: Exchange, verdict: Verdict): string {
    return this.sentence(verdict, 'http', (source) => source.explain(x));
  }

  ofConnection(session: TcpSession, verdict: Verdict): string {
    return this.sentence(verdict, 'tcp', (source) => source.explainTcp(session));
  }

  private sentence(
    verdict: Verdict,
    chain: 'http' | 'tcp',
    explain: (source: ReasonSource) => Explanation | null,
  ): string {
    const { source } = this;
    if (source === null) return verdict.details;
    const explanation = this.afford() ? explain(source) : null;
    if (explanation !== null) return sentenceOf(explanation);
    const known = this.described.get(verdict) ?? source.describe(verdict, chain);
    this.described.set(verdict, known);
    return known.slice(0, sentenceCharsMax);
  }

  /** A full explanation costs more than a request: those who are denied much must not cost much. */
  private afford(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.second) {
      this.second = second;
      this.spent = 0;
    }
    return this.spent++ < explanationsPerSecond;
  }
}

function sentenceOf({ summary, nearest }: Explanation): string {
  const near = nearest === null ? '' : `; nearest: ${nearestOf(nearest)}`;
  return `${summary}${near}`.slice(0, sentenceCharsMax);
}

function nearestOf({ namespace, policy, rule, at, missed }: NearMiss): string {
  const place = at === null ? '' : ` (${at})`;
  const misses = missed
    .slice(0, missesShown)
    .map(({ field, got, wanted }) => `${field} is ${got}, not ${wanted.join(' or ')}`);
  return `${namespace}/${policy} rule ${rule}${place}: ${misses.join(', ')}`;
}

// What the admin endpoint asks of each data plane, in this thread or in workers; questions and answers are plain data.
import type { CallRecord, EdgeCount } from '#api/call-record.ts';

import type { CompiledLimits } from '../limit/compile.ts';
import { limitUsage, type LimitUsage } from './limits.ts';
import type { Observation } from './observation.ts';
import type { KeptRecord } from './recent.ts';
import type { TapFilter } from './tap-filter.ts';
import type { Taken } from './tap-queue.ts';

export type Question =
  | { readonly about: 'why'; readonly id: string }
  | { readonly about: 'recent'; readonly limit: number; readonly verdict: CallRecord['verdict'] }
  | { readonly about: 'edges' }
  | { readonly about: 'limits' }
  /** Opens the tap, or gives what it has seen since it was asked for the last time. */
  | { readonly about: 'tap'; readonly tap: number; readonly filter: TapFilter }
  | { readonly about: 'tap-end'; readonly tap: number };

export interface Answers {
  /** JSON; null: no such failure. */
  readonly why: string | null;
  /** Newest first. */
  readonly recent: readonly KeptRecord[];
  readonly edges: readonly EdgeCount[];
  readonly limits: readonly LimitUsage[];
  readonly tap: Taken;
  readonly 'tap-end': null;
}

export type Answer<Asked extends Question> = Answers[Asked['about']];

/** Null: nobody is there to answer, or not in time. */
export type Ask = <Asked extends Question>(question: Asked) => Promise<Answer<Asked> | null>;

/** @param limits what is in force */
export function answerer(observation: Observation, limits: () => CompiledLimits | null): Ask {
  const { recent, taps, edges } = observation;
  const answers: { [About in keyof Answers]: (question: never) => unknown } = {
    why: ({ id }: Of<'why'>) => recent.find(id),
    recent: ({ limit, verdict }: Of<'recent'>) => recent.list(limit, verdict),
    edges: () => edges.list(),
    limits: () => limitUsage(limits()),
    tap: ({ tap, filter }: Of<'tap'>) => taps.take(tap, filter),
    'tap-end': ({ tap }: Of<'tap-end'>) => {
      taps.close(tap);
      return null;
    },
  };
  return async <Asked extends Question>(question: Asked) =>
    (await answers[question.about](question as never)) as Answer<Asked>;
}

type Of<About extends Question['about']> = Extract<Question, { about: About }>;

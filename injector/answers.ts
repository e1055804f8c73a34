// From a body to an answer: reads the review, judges it, writes the answer, and counts.
import {
  readReview,
  ReviewError,
  writeReview,
  type AdmissionRequest,
} from '#api/admission-review.ts';
import type { InjectionConfig } from '#api/injection/config.ts';
import type { NamespaceStance } from '#api/injection.ts';
import type { Log } from '#runtime/log.ts';

import { judgeInjection } from './admission/inject.ts';
import { judgeResource } from './admission/validate.ts';
import type { InjectorMetrics, Review } from './metrics.ts';
import { paths } from './paths.ts';
import type { Reply } from './server.ts';

export interface AnswerOptions {
  readonly config: InjectionConfig;
  readonly metrics: InjectorMetrics;
  readonly log: Log;
}

/** One for all requests. It has no effects but the log and the metrics: a dry run needs no care. */
export function createAnswers(options: AnswerOptions): (path: string, body: string) => Reply {
  const { metrics, log } = options;
  return (path, body) => {
    const judge = judgeOf(path, options);
    if (judge === null) {
      return { status: 404, body: `there are ${Object.values(paths).join(', ')} here\n` };
    }
    const { webhook } = judge;
    const startedMs = performance.now();
    try {
      const request = readReview(body);
      const { text, outcome, reason } = judge(request);
      metrics.reviewed({ webhook, outcome, reason, seconds: secondsSince(startedMs) });
      return { status: 200, body: text };
    } catch (error) {
      const seconds = secondsSince(startedMs);
      metrics.reviewed({ webhook, outcome: 'error', reason: '', seconds });
      if (!(error instanceof ReviewError)) throw error;
      log.warn({ path, reason: error.message }, 'a review that cannot be read');
      return { status: 400, body: `${error.message}\n` };
    }
  };
}

function secondsSince(startedMs: number): number {
  return (performance.now() - startedMs) / 1000;
}

interface Judge {
  (request: AdmissionRequest): Pick<Review, 'outcome' | 'reason'> & { readonly text: string };
  readonly webhook: 'inject' | 'validate';
}

function judgeOf(path: string, options: AnswerOptions): Judge | null {
  if (path === paths.inject) return injecting('silent', options);
  if (path === paths.injectOptedIn) return injecting('opted-in', options);
  return path === paths.validate ? validating(options) : null;
}

function injecting(stance: NamespaceStance, { config, log }: AnswerOptions): Judge {
  const judge = (request: AdmissionRequest): ReturnType<Judge> => {
    const verdict = judgeInjection(request, stance, config);
    const { outcome, reason } = verdict;
    const subject = subjectOf(request);
    if (outcome === 'refused') log.warn({ ...subject, reason }, 'injection refused');
    else if (outcome === 'none') log.debug({ ...subject, reason }, 'nothing to inject');
    else log.info(subject, outcome);
    return { text: writeReview(request.uid, verdict), outcome, reason };
  };
  return Object.assign(judge, { webhook: 'inject' } as const);
}

function validating({ log }: AnswerOptions): Judge {
  const judge = (request: AdmissionRequest): ReturnType<Judge> => {
    const verdict = judgeResource(request);
    if (!verdict.allowed) {
      log.info({ ...subjectOf(request), reason: verdict.message }, 'resource refused');
    }
    const outcome = verdict.allowed ? 'allowed' : 'refused';
    const reason = verdict.allowed ? '' : `invalid ${request.kind.kind}`;
    return { text: writeReview(request.uid, verdict), outcome, reason };
  };
  return Object.assign(judge, { webhook: 'validate' } as const);
}

function subjectOf(request: AdmissionRequest): Readonly<Record<string, unknown>> {
  const { kind, namespace, name, operation, dryRun } = request;
  return {
    kind: kind.kind,
    namespace,
    // A Pod of a controller has none yet.
    ...(name ? { name } : {}),
    operation,
    ...(dryRun === true ? { dryRun } : {}),
  };
}

// The composer: runs the layers of a listener over each exchange, and answers what they refuse.
import type { Exchange, RequestPath, ResponseView, UpstreamPool } from './exchange.ts';
import { idLine, newFailureId } from './failure-id.ts';
import { failures, type Failure } from './failures.ts';

/** A layer's answer: on to the next layer, a refusal, or "I have called the stream myself". */
export type Outcome = typeof PASS | typeof ENDED | Failure;

/** A step of the request path. It waits only where it must: a promise costs every request. */
export type Layer = (x: Exchange) => Outcome | Promise<Outcome>;

export const PASS = 'pass';
export const ENDED = 'ended';

/** A request path as data; inbound/http.ts and outbound/http.ts write theirs down. */
export interface PathLayers {
  /** Sees every exchange first and last, whatever the layers do. */
  readonly observer: {
    begin(x: Exchange): void;
    respond?(x: Exchange, response: ResponseView): void;
    end(x: Exchange): void;
  };
  /** Outermost first. The last one forwards. */
  readonly request: readonly Layer[];
  /** Edits of the response's head, in order. */
  readonly response: readonly ((x: Exchange, response: ResponseView) => void)[];
  /** Called before the observer's `end`. */
  readonly finish?: (x: Exchange) => void;
  readonly retry?: (x: Exchange, failure: Failure, untouched: boolean) => UpstreamPool | null;
  readonly retryAnswer?: (x: Exchange, response: ResponseView) => UpstreamPool | null;
  readonly unanswered?: (x: Exchange, untouched: boolean) => boolean;
  /** @returns whether something else is answered in place of an upstream's failure */
  readonly answerFailure?: (x: Exchange, failure: Failure) => boolean;
  /** A layer threw; the exchange is refused. */
  readonly onFault: (error: unknown, x: Exchange) => void;
}

/** Composes a path once for all exchanges of a listener. Nothing is allocated for a request. */
export function composePath(path: PathLayers): RequestPath {
  return {
    start(x) {
      try {
        path.observer.begin(x);
      } catch (error) {
        fault(path, x, error);
        return;
      }
      run(path, x, 0);
    },
    respond(x, response) {
      try {
        for (const edit of path.response) edit(x, response);
        path.observer.respond?.(x, response);
      } catch (error) {
        path.onFault(error, x);
      }
    },
    finish(x) {
      try {
        path.finish?.(x);
      } catch (error) {
        path.onFault(error, x);
      }
      end(path, x);
    },
    // Not a request, but there is an answer: it is counted and logged like those of requests.
    unheard: (x) => end(path, x),
    ...(path.retry !== undefined && { retry: guarded(path, path.retry, null) }),
    ...(path.retryAnswer !== undefined && {
      retryAnswer: guarded(path, path.retryAnswer, null),
    }),
    ...(path.answerFailure !== undefined && {
      answerFailure: guarded(path, path.answerFailure, false),
    }),
    ...(path.unanswered !== undefined && { unanswered: guarded(path, path.unanswered, false) }),
  };
}

/** Answers `otherwise` where the step throws. */
function guarded<More extends unknown[], Result>(
  path: PathLayers,
  step: (x: Exchange, ...more: More) => Result,
  otherwise: Result,
): (x: Exchange, ...more: More) => Result {
  return (x, ...more) => {
    try {
      return step(x, ...more);
    } catch (error) {
      path.onFault(error, x);
      return otherwise;
    }
  };
}

/** A fault in what only looks on must not end the process, and with it every other exchange. */
function end(path: PathLayers, x: Exchange): void {
  try {
    path.observer.end(x);
  } catch (error) {
    path.onFault(error, x);
  }
}

/** Answers a refusal; the only place where a failure becomes a response. */
export function refuse(x: Exchange, failure: Failure): void {
  x.failure = failure;
  if (x.id === '') x.id = newFailureId();
  if (x.details === '') x.details = failure.details;
  const typed = failure.body === '' || x.replyHeaders.includes('content-type:');
  const type = typed ? '' : 'content-type: text/plain\r\n';
  const date = new Date().toUTCString();
  const headers = `${x.replyHeaders}${type}date: ${date}\r\nserver: selvage\r\n${idLine(x.id)}`;
  x.ownAnswer = headers;
  x.stream.reply(failure.status, headers, failure.body, failure.close);
}

/** Answers from here with what is no failure: a redirect, a preflight, a page of the route's own. @param lines `name: value\r\n` */
export function answer(x: Exchange, status: number, lines: string, body: string | Buffer): void {
  const date = new Date().toUTCString();
  const headers = `${x.replyHeaders}${lines}date: ${date}\r\nserver: selvage\r\n`;
  x.ownAnswer = headers;
  x.stream.reply(status, headers, body, false);
}

/** Runs the layers from one on: in this turn of the event loop as long as none has to wait. */
function run(path: PathLayers, x: Exchange, from: number): void {
  try {
    for (let i = from; i < path.request.length; i += 1) {
      const outcome = path.request[i]?.(x) ?? PASS;
      if (outcome === PASS) continue;
      if (outcome instanceof Promise) void wait(path, x, i, outcome);
      else if (outcome !== ENDED) refuse(x, outcome);
      return;
    }
    throw new Error('the last layer of a request path let an exchange pass');
  } catch (error) {
    fault(path, x, error);
  }
}

async function wait(
  path: PathLayers,
  x: Exchange,
  at: number,
  outcome: Promise<Outcome>,
): Promise<void> {
  try {
    const settled = await outcome;
    // Nobody waits for it any more: no layer may begin what only an end that is past would end.
    if (x.finishedAtMs !== 0) return;
    if (settled === PASS) run(path, x, at + 1);
    else if (settled !== ENDED) refuse(x, settled);
  } catch (error) {
    fault(path, x, error);
  }
}

/** Fails closed: what a layer could not judge is not let through. */
function fault(path: PathLayers, x: Exchange, error: unknown): void {
  path.onFault(error, x);
  refuse(x, failures.internal);
}

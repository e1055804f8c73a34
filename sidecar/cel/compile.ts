// Compiles CEL over Envoy's attributes into closures: for the filters of logs, for labels of metrics and values in logs.
import { parseCel } from '#api/cel/parse.ts';
import { isCelFault, Wrong } from '#api/cel/syntax.ts';

import { loadedRegexes, type RegexFactory } from '../routing/regex.ts';
import { nothingWanted, type WantedOfAnswers } from '../telemetry/kept-answer.ts';
import { CelCompiler } from './node.ts';
import { Scope, type CelSubject, type Evaluate } from './scope.ts';
import type { CelResult } from './values.ts';

/**
 * @param regexes prepared with the snapshot that the expression is of
 * @throws Error that says where: it is no CEL, or has a function that there is not
 */
export function compileCel(text: string, regexes: RegexFactory = loadedRegexes()): CelProgram {
  const parsed = parseCel(text);
  if (isCelFault(parsed)) throw new Error(`CEL, character ${parsed.at + 1}: ${parsed.fault}`);
  const compiler = new CelCompiler(regexes);
  try {
    return new CelProgram(compiler.evaluate(parsed), {
      headers: compiler.answerHeaders,
    });
  } catch (error) {
    if (error instanceof Wrong) {
      throw new Error(`CEL, character ${error.at + 1}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

export class CelProgram {
  /** What must be kept of answers until it is evaluated. */
  readonly wanted: WantedOfAnswers;
  readonly #evaluate: Evaluate;
  readonly #scope = new Scope();

  constructor(evaluate: Evaluate, wanted: WantedOfAnswers) {
    this.wanted = wanted.headers?.size === 0 ? nothingWanted : wanted;
    this.#evaluate = evaluate;
  }

  /** Never throws. Undefined: an attribute is not there, or the expression has no value for this call. */
  evaluate(subject: CelSubject): CelResult {
    const scope = this.#scope;
    scope.begin(subject);
    try {
      return this.#evaluate(scope);
    } catch {
      // Of the subject's own: what is being torn down may not be readable any more.
      return undefined;
    } finally {
      scope.end();
    }
  }

  holds(subject: CelSubject): boolean {
    return this.evaluate(subject) === true;
  }
}

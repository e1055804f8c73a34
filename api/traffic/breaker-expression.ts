// The language of circuit breakers, as Traefik has it: `ResponseCodeRatio(500, 600, 0, 600) > 0.25 || NetworkErrorRatio() > 0.3`.

export type BreakerMetric =
  /** Milliseconds that this percentage of calls stayed below, 0 to 100. */
  | { readonly kind: 'latency'; readonly quantile: number }
  | { readonly kind: 'network-errors' }
  /** Calls with a status from `from` to below `to`, by those from `ofFrom` to below `ofTo`. */
  | {
      readonly kind: 'statuses';
      readonly from: number;
      readonly to: number;
      readonly ofFrom: number;
      readonly ofTo: number;
    };

export type BreakerOperator = '>' | '>=' | '<' | '<=' | '==' | '!=';

export type BreakerExpression =
  | {
      readonly kind: 'and' | 'or';
      readonly left: BreakerExpression;
      readonly right: BreakerExpression;
    }
  | {
      readonly kind: 'compare';
      readonly metric: BreakerMetric;
      readonly operator: BreakerOperator;
      readonly value: number;
    };

/** What is wrong, and at which character, from 0. */
export interface ExpressionFault {
  readonly fault: string;
  readonly at: number;
}

const charactersMax = 1000;
const depthMax = 32;

export function parseBreakerExpression(text: string): BreakerExpression | ExpressionFault {
  if (text.length > charactersMax) {
    return { fault: `an expression has at most ${charactersMax} characters`, at: charactersMax };
  }
  try {
    return new Parser(text).whole();
  } catch (error) {
    if (error instanceof Wrong) return { fault: error.message, at: error.at };
    throw error;
  }
}

export function isFault(parsed: BreakerExpression | ExpressionFault): parsed is ExpressionFault {
  return 'fault' in parsed;
}

/** @param measure the present value of a metric; NaN where there were no calls: no comparison with it holds */
export function breakerHolds(
  expression: BreakerExpression,
  measure: (metric: BreakerMetric) => number,
): boolean {
  if (expression.kind === 'compare') {
    const { metric, operator, value } = expression;
    const measured = measure(metric);
    return !Number.isNaN(measured) && compare[operator](measured, value);
  }
  const { kind, left, right } = expression;
  const first = breakerHolds(left, measure);
  return first === (kind === 'or') ? first : breakerHolds(right, measure);
}

const compare: Readonly<Record<BreakerOperator, (measured: number, value: number) => boolean>> = {
  '>': (measured, value) => measured > value,
  '>=': (measured, value) => measured >= value,
  '<': (measured, value) => measured < value,
  '<=': (measured, value) => measured <= value,
  '==': (measured, value) => measured === value,
  '!=': (measured, value) => measured !== value,
};

class Wrong extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

const space = /\s*/y;
const word = /[A-Za-z]\w*/y;
const number = /[+-]?(\d+(\.\d*)?|\.\d+)/y;
const comparison = />=|<=|==|!=|>|</y;
const and = /&&|AND\b/y;
const or = /\|\||OR\b/y;

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): BreakerExpression {
    const expression = this.#or();
    if (this.#at < this.#text.length) this.#fail('expected && or ||');
    return expression;
  }

  #or(): BreakerExpression {
    let left = this.#and();
    while (this.#take(or) !== null) left = { kind: 'or', left, right: this.#and() };
    return left;
  }

  #and(): BreakerExpression {
    let left = this.#term();
    while (this.#take(and) !== null) left = { kind: 'and', left, right: this.#term() };
    return left;
  }

  #term(): BreakerExpression {
    if (!this.#takeMark('(')) return this.#comparison();
    this.#depth++;
    if (this.#depth > depthMax) this.#fail(`more than ${depthMax} parentheses in each other`);
    const inner = this.#or();
    this.#expect(')');
    this.#depth--;
    return inner;
  }

  #comparison(): BreakerExpression {
    const metric = this.#metric();
    const operator = this.#take(comparison);
    if (operator === null) this.#fail('expected >, >=, <, <=, == or !=');
    return {
      kind: 'compare',
      metric,
      operator: operator as BreakerOperator,
      value: this.#number(),
    };
  }

  #metric(): BreakerMetric {
    this.#skip();
    const startedAt = this.#at;
    const name = this.#take(word);
    switch (name) {
      case 'LatencyAtQuantileMS': {
        const [quantile = 0] = this.#numbers(1);
        if (quantile < 0 || quantile > 100) {
          throw new Wrong(`a quantile is from 0 to 100, and not ${quantile}`, startedAt);
        }
        return { kind: 'latency', quantile };
      }
      case 'NetworkErrorRatio':
        this.#numbers(0);
        return { kind: 'network-errors' };
      case 'ResponseCodeRatio': {
        const codes = this.#numbers(4);
        const [from = 0, to = 0, ofFrom = 0, ofTo = 0] = codes;
        if (codes.some((code) => !Number.isInteger(code) || code < 0 || code > 1000)) {
          throw new Wrong('statuses are whole numbers from 0 to 1000', startedAt);
        }
        if (from >= to || ofFrom >= ofTo) {
          throw new Wrong(
            'statuses go from a number to a greater one, which is not among them',
            startedAt,
          );
        }
        return { kind: 'statuses', from, to, ofFrom, ofTo };
      }
      default:
        throw new Wrong(
          'expected LatencyAtQuantileMS(…), ResponseCodeRatio(…) or NetworkErrorRatio()',
          startedAt,
        );
    }
  }

  #numbers(count: number): number[] {
    const numbers: number[] = [];
    this.#expect('(');
    for (let i = 0; i < count; i++) {
      if (i > 0) this.#expect(',');
      numbers.push(this.#number());
    }
    this.#expect(')');
    return numbers;
  }

  #number(): number {
    const text = this.#take(number);
    return text === null ? this.#fail('expected a number') : Number(text);
  }

  #expect(mark: string): void {
    if (!this.#takeMark(mark)) this.#fail(`expected ${mark}`);
  }

  #takeMark(mark: string): boolean {
    this.#skip();
    if (!this.#text.startsWith(mark, this.#at)) return false;
    this.#at += mark.length;
    this.#skip();
    return true;
  }

  #take(pattern: RegExp): string | null {
    this.#skip();
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.#text) ?? [];
    if (found === undefined) return null;
    this.#at += found.length;
    this.#skip();
    return found;
  }

  #skip(): void {
    space.lastIndex = this.#at;
    this.#at += space.exec(this.#text)?.[0].length ?? 0;
  }

  #fail(message: string): never {
    const rest = this.#text.slice(this.#at, this.#at + 20);
    throw new Wrong(`${message}, and found ${rest === '' ? 'the end' : `"${rest}"`}`, this.#at);
  }
}

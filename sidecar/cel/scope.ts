// What one evaluation of a CEL expression looks at, and what it may still cost.
import { Exchange } from '../exchange.ts';
import type { ConnectionRefusal, TcpSession } from '../telemetry/types.ts';
import type { CelResult, CelValue } from './values.ts';

/** A request, a byte stream, or a connection that was refused. */
export type CelSubject = Exchange | TcpSession | ConnectionRefusal;

/** Items that macros look at in one evaluation; more are an error. */
export const stepsMax = 10_000;

export type Evaluate = (scope: Scope) => CelResult;

/** One serves all evaluations of a program: they never overlap. */
export class Scope {
  exchange: Exchange | null = null;
  session: TcpSession | null = null;
  refusal: ConnectionRefusal | null = null;
  /** Variables of macros, by their depth. */
  readonly variables: CelValue[] = [];
  #steps = 0;

  /** After the last one's end, which has left nothing. */
  begin(subject: CelSubject): void {
    if (subject instanceof Exchange) this.exchange = subject;
    else if ('openedAtMs' in subject) this.session = subject;
    else this.refusal = subject;
  }

  /** Held no longer than they are looked at. */
  end(): void {
    this.exchange = null;
    this.session = null;
    this.refusal = null;
    if (this.#steps === 0) return;
    this.#steps = 0;
    this.variables.length = 0;
  }

  /** @returns whether another item may be looked at */
  step(): boolean {
    this.#steps++;
    return this.#steps <= stepsMax;
  }
}

// The command operators of access logs, by their text: `PROTOCOL`, `REQ(X-ENVOY-ORIGINAL-PATH?:PATH):80`.
import { argumentFault, isArgumentOperator } from '#api/access-log/arguments.ts';
import type { LogOperator } from '#api/access-log/format.ts';
import { silentOperators } from '#api/access-log/operators.ts';

import { makers, type CompiledOperator } from './argument-operators.ts';
import { nothingWanted } from './kept-answer.ts';
import type { LogRecord } from './log-record.ts';
import type { LoggedReason } from './log-reason.ts';
import { ownTexts, readers, type Operator } from './plain-operators.ts';
import type { WallClock } from './wall-clock.ts';

export interface OperatorParts {
  readonly clock: WallClock;
  readonly reason: (record: LogRecord) => LoggedReason;
}

/** @throws Error that names the operator when it is unknown, or cannot have its argument */
export function compileOperator(operator: LogOperator, parts: OperatorParts): CompiledOperator {
  const made = madeOf(operator, parts);
  const { charsMax } = operator;
  return charsMax === undefined ? made : { ...made, read: cut(made.read, charsMax) };
}

/** Whether an operator's text is made here of plain characters, so that it needs no escaping. */
export function isOwnText({ name, argument }: LogOperator): boolean {
  return argument === undefined && ownTexts.has(name);
}

function madeOf({ name, argument }: LogOperator, parts: OperatorParts): CompiledOperator {
  if (isArgumentOperator(name)) {
    const fault = argumentFault(name, argument);
    if (fault !== null) throw new Error(`access log format: ${fault}`);
    return makers[name](argument ?? '', parts.clock);
  }
  const read = argument === undefined ? plainOperator(name, parts) : null;
  if (read !== null) return { read, wanted: nothingWanted };
  if (silentOperators.has(name)) return { read: () => null, wanted: nothingWanted };
  throw new Error(`access log format: no operator %${name}%`);
}

function plainOperator(name: string, { reason }: OperatorParts): Operator | null {
  if (Object.hasOwn(readers, name)) return readers[name as keyof typeof readers];
  switch (name) {
    case 'SELVAGE_WHY':
      return (record) => reason(record).fields.why;
    case 'SELVAGE_POLICY':
      return (record) => reason(record).fields.policy;
    case 'SELVAGE_RULE':
      return (record) => reason(record).fields.rule;
    case 'SELVAGE_AT':
      return (record) => reason(record).fields.at;
    default:
      return null;
  }
}

function cut(read: Operator, length: number): Operator {
  return (record) => {
    const value = read(record);
    return typeof value === 'string' ? value.slice(0, length) : value;
  };
}

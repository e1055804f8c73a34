// What can be said of an access log's format before there is a call.
import { celFindingText, checkCel } from '../cel/check.ts';
import { nearest } from '../spelling.ts';
import { isLogFormatFault, parseLogFormat, type LogOperator } from './format.ts';
import { argumentFault, isArgumentOperator } from './arguments.ts';
import { argumentOperators, plainOperators, silentOperators } from './operators.ts';

export interface LogFormatFinding {
  readonly severity: 'error' | 'warning';
  /** With the character of the text, from 1. */
  readonly message: string;
  readonly mend?: string;
}

const plain: ReadonlySet<string> = new Set(plainOperators);
const names = [...plainOperators, ...Object.keys(argumentOperators)];

export function checkLogFormat(text: string): LogFormatFinding[] {
  const parsed = parseLogFormat(text);
  if (isLogFormatFault(parsed)) {
    return [{ severity: 'error', message: `character ${parsed.at + 1}: ${parsed.fault}` }];
  }
  return parsed.flatMap((piece) => (typeof piece === 'string' ? [] : checkOperator(piece)));
}

function checkOperator(operator: LogOperator): LogFormatFinding[] {
  const { name, argument, at } = operator;
  const told = (message: string, mend?: string): LogFormatFinding[] => [
    {
      severity: 'error',
      message: `character ${at + 1}: ${message}`,
      ...(mend !== undefined && { mend }),
    },
  ];
  if (isArgumentOperator(name)) {
    const fault = argumentFault(name, argument);
    if (fault !== null) return told(fault);
    return name.endsWith('CEL') ? celFindings(argument ?? '', at + name.length + 2) : [];
  }
  if (plain.has(name)) {
    return argument === undefined ? [] : told(`%${name}% takes no argument`);
  }
  if (silentOperators.has(name)) {
    const message = `character ${at + 1}: a sidecar does not know %${name}%, and writes "-"`;
    return [{ severity: 'warning', message, mend: 'remove it' }];
  }
  const similar = nearest(name, names);
  const mend = similar === null ? undefined : `did you mean %${similar}%?`;
  return told(`there is no operator %${name}%`, mend);
}

function celFindings(expression: string, before: number): LogFormatFinding[] {
  return checkCel(expression).map((finding) => ({
    severity: finding.severity,
    message: celFindingText({ ...finding, at: finding.at + before }),
    ...(finding.mend !== undefined && { mend: finding.mend }),
  }));
}

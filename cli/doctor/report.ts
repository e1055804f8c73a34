// The doctor's report, for people and as data: every check once, what is wrong with what to do under it.
import { type Colour, paint } from '../table.ts';
import { counted, type Finding, type Level } from './finding.ts';

const marks: Readonly<Record<Level, { readonly text: string; readonly colour?: Colour }>> = {
  ok: { text: '✓', colour: 'green' },
  note: { text: 'i' },
  warning: { text: '!', colour: 'yellow' },
  problem: { text: '✗', colour: 'red' },
  unknown: { text: '?', colour: 'yellow' },
};

/** In the order of the checks. Ends with a line end. */
export function renderFindings(findings: readonly Finding[], tty: boolean): string {
  const lines = findings.flatMap(({ check, level, message, mend }) => {
    const { text, colour } = marks[level];
    const head = `${paint(text, colour, tty)} ${check}: ${message}`;
    return mend === undefined || level === 'ok'
      ? [head]
      : [head, paint(`    do: ${mend}`, 'dim', tty)];
  });
  return [...lines, summaryOf(findings)].map((line) => `${line}\n`).join('');
}

/** The same as data, for other programs; its fields only grow. */
export function findingsJson(findings: readonly Finding[]): object {
  const of = (level: Level): number => findings.filter((one) => one.level === level).length;
  return { findings, problems: of('problem'), warnings: of('warning'), unknown: of('unknown') };
}

function summaryOf(findings: readonly Finding[]): string {
  const of = (level: Level): number => findings.filter((one) => one.level === level).length;
  const unknown = of('unknown') === 0 ? '' : `, ${of('unknown')} not told`;
  const problems = of('problem') === 0 ? 'no problem' : counted(of('problem'), 'problem');
  return `${problems}, ${counted(of('warning'), 'warning')}${unknown}`;
}

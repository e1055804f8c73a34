// Reads what `go tool test2json` tells of a run of the suite: one outcome for each of its tests, with the reason.

export interface Outcome {
  readonly name: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  /** Its cases that failed, of all. */
  readonly failedCases: number;
  readonly cases: number;
  /** Of the first case that failed, in the suite's words; empty where none did. */
  readonly reason: string;
}

interface Event {
  readonly Action: string;
  /** TestMesh/MeshBasic/0_request_to_… */
  readonly Test?: string;
  readonly Output?: string;
}

interface Seen {
  action: string;
  reason: string;
}

/** Some have all the headers of a request in them. */
const reasonLengthMax = 160;

const results: Readonly<Record<string, Outcome['result']>> = { pass: 'passed', skip: 'skipped' };

/** @param lines JSON; others are passed over. A test that the lines tell no end of has failed. */
export function readOutcomes(lines: Iterable<string>): Outcome[] {
  const seen = new Map<string, Seen>();
  for (const line of lines) {
    const event = eventOf(line);
    if (event?.Test === undefined) continue;
    const { action, reason } = seen.get(event.Test) ?? { action: '', reason: '' };
    const ended = ['pass', 'fail', 'skip'].includes(event.Action);
    seen.set(event.Test, {
      action: ended ? event.Action : action,
      reason: reasonIn(event.Output ?? '') ?? reason,
    });
  }
  const names = [...seen.keys()].filter((path) => path.split('/').length === 2);
  return names.map((path) => outcomeOf(path, seen));
}

function outcomeOf(path: string, seen: ReadonlyMap<string, Seen>): Outcome {
  const cases = [...seen].filter(([name]) => name.startsWith(`${path}/`));
  const failed = cases.filter(([, { action }]) => results[action] === undefined);
  const own = seen.get(path);
  const result = results[own?.action ?? ''] ?? 'failed';
  const first = failed.find(([, { reason }]) => reason !== '')?.[1] ?? own;
  return {
    name: path.slice(path.indexOf('/') + 1),
    result,
    failedCases: failed.length,
    cases: cases.length,
    reason: result === 'failed' ? (first?.reason ?? '') || 'see the log' : '',
  };
}

/** What the suite says when it gives up or tries again; the last counts. */
function reasonIn(output: string): string | undefined {
  const found =
    /not ready yet: (.*) \(after .*\)$/m.exec(output) ??
    /Traffic distribution test failed \(.*?\): (.*)$/m.exec(output) ??
    /^\s+Error:\s+(\S.*)$/m.exec(output) ??
    /^panic: (.*)$/m.exec(output);
  return found?.[1]?.slice(0, reasonLengthMax);
}

function eventOf(line: string): Event | undefined {
  try {
    const event: unknown = JSON.parse(line);
    return typeof event === 'object' && event !== null && 'Action' in event
      ? (event as Event)
      : undefined;
  } catch {
    return undefined;
  }
}

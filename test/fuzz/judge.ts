// Judges how the ways from client to application read the same bytes: who sees another request than we do.
import type { Finding } from './http1.ts';
import type { FuzzReading } from './reading.ts';
import type { Outcome, WayName } from './ways.ts';

/** How often a way was stricter than another: nothing to be judged, but told. */
export type Stricter = Map<string, number>;

/** @param outcomes of every way, `ours` among them */
export function judge(outcomes: ReadonlyMap<WayName, Outcome>, stricter: Stricter): Finding[] {
  const findings: Finding[] = [];
  const ours = outcomes.get('ours')!;
  for (const [way, outcome] of outcomes) {
    for (const wrong of new Set(outcome.wrong)) findings.push([`${way}: ${wrong}`, '']);
    if (way === 'ours' || way.includes('>')) continue;
    const [kind, detail] = compare(ours, outcome);
    if (kind.startsWith('stricter')) {
      const who = kind === 'stricter: ours' ? 'ours' : way;
      const name = `${who} is stricter than ${who === 'ours' ? way : 'ours'}`;
      stricter.set(name, (stricter.get(name) ?? 0) + 1);
    } else if (kind !== '') findings.push([`${way}: ${kind}`, detail]);
  }
  return findings;
}

function compare(ours: Outcome, theirs: Outcome): Finding {
  const lengths = [ours.requests.length, theirs.requests.length];
  const count = Math.min(...lengths, answered(ours), answered(theirs));
  for (let i = 0; i < count; i++) {
    const [mine, other] = [ours.requests[i]!, theirs.requests[i]!];
    const what = compareMeaning(mine, other);
    if (what !== '')
      return [what, `request ${i}: ${partOf(mine, what)} and ${partOf(other, what)}`];
  }
  const further = theirs.requests.length - ours.requests.length;
  if (further === 0) return ['', ''];
  const shorter = further > 0 ? ours : theirs;
  const stops = shorter.statuses.some((status) => status >= 400) || shorter.end === 'closed';
  if (stops) return [`stricter: ${further > 0 ? 'ours' : 'theirs'}`, ''];
  const counts = `${ours.requests.length} requests and ${theirs.requests.length}`;
  return [further > 0 ? 'ours waits where they go on' : 'they wait where ours goes on', counts];
}

/** How many requests were answered before the first refusal: after it, one list lacks what the other has. */
function answered({ statuses }: Outcome): number {
  const refused = statuses.findIndex((status) => status >= 400);
  return refused < 0 ? Infinity : refused;
}

function partOf(request: FuzzReading, what: string): string {
  const { method, target, body } = request;
  const parts: Readonly<Record<string, string>> = {
    method,
    path: target,
    host: hostOf(request),
    body,
  };
  return JSON.stringify(parts[what]);
}

/** What two proxies may well write differently aside: other headers, the form of the target. */
function compareMeaning(ours: FuzzReading, theirs: FuzzReading): string {
  if (ours.method !== theirs.method) return 'method';
  if (pathOf(ours) !== pathOf(theirs)) return 'path';
  if (hostOf(ours) !== hostOf(theirs)) return 'host';
  return ours.body === theirs.body ? '' : 'body';
}

function pathOf({ target }: FuzzReading): string {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '');
  return path.startsWith('/') || path === '*' ? path : `/${path}`;
}

/** An absolute target's authority is in force (RFC 9112 3.2.2). */
function hostOf({ lines, target }: FuzzReading): string {
  const authority = /^https?:\/\/([^/?#]*)/i.exec(target)?.[1];
  if (authority !== undefined) return authority.toLowerCase();
  return lines
    .filter(([name]) => name === 'host')
    .map(([, value]) => value.toLowerCase())
    .join();
}

// From what came back, and what the sidecar logged about it, to a decision that can be compared.
import type { Decision } from '#policy/verdict.ts';

import type { AccessLine } from './access-lines.ts';
import { arrivedHeader } from './application.ts';
import { namedRule, type Observed } from './compare.ts';
import type { Reply } from './wire-client.ts';
import type { WireResponse } from './wire-request.ts';

/** @param line null: the sidecar logged nothing */
export function observe(reply: Reply, line: AccessLine | null): Observed {
  const reason = reasonOf(reply, line);
  if (reply.kind !== 'response') {
    const decision = decisions[reply.kind];
    return { decision, status: 0, details: detailsOf(line), reason };
  }
  const { response } = reply;
  const { status } = response;
  const decision = decisionOf(response);
  const arrived = arrivedAs(response.headers.get(arrivedHeader) ?? '');
  return { decision, status, details: detailsOf(line), reason, ...arrived };
}

const decisions = { echo: 'allow', closed: 'closed', silent: 'other' } as const;

const byStatus: Readonly<Record<number, Decision>> = {
  400: 'badrequest',
  401: 'unauthenticated',
  403: 'deny',
};

/** Only the application itself can say that a call was let pass. */
function decisionOf({ status, headers }: WireResponse): Decision {
  if (headers.has(arrivedHeader)) return status === 200 ? 'allow' : 'other';
  return byStatus[status] ?? 'other';
}

/** What the application saw. In a request that the sidecar has read, there are its own headers. */
function arrivedAs(encoded: string): Pick<Observed, 'protocol' | 'path' | 'authority'> {
  if (encoded === '') return {};
  const head = Buffer.from(encoded, 'base64').toString('latin1');
  const [line = '', ...lines] = head.split('\r\n');
  if (!lines.some((text) => /^x-request-id:/i.test(text))) return { protocol: 'tcp' };
  const host = lines.find((text) => /^host:/i.test(text))?.slice('host:'.length);
  return { protocol: 'http', path: line.split(' ')[1] ?? '', authority: host?.trim() ?? '' };
}

/** The details as logged, with a word where the log's own `policy` and `rule` do not say the same. */
function detailsOf(line: AccessLine | null): string {
  if (line === null) return 'not logged';
  const details = textOf(line['response_code_details']) || terminationOf(line);
  const rule = namedRule.exec(details);
  if (rule === null) return details;
  const logged = `${textOf(line['policy'])} rule ${textOf(line['rule'])}`;
  return logged === `${rule[1]}/${rule[2]} rule ${rule[3]}` ? details : `logged as ${logged}`;
}

function terminationOf(line: AccessLine): string {
  return textOf(line['connection_termination_details']);
}

function reasonOf(reply: Reply, line: AccessLine | null): string {
  const why = textOf(line?.['why']);
  if (why !== '') return why;
  if (reply.kind === 'closed' || reply.kind === 'silent') return reply.reason;
  return line === null ? 'the sidecar logged nothing' : '';
}

function textOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '-' ? value : '';
}

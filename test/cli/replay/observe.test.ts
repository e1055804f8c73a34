// From an answer and a log line to what is compared.
import { expect, test } from 'vitest';

import { arrivedHeader } from '#cli/replay/application.ts';
import { observe } from '#cli/replay/observe.ts';
import type { Reply } from '#cli/replay/wire-client.ts';

function response(status: number, headers: Record<string, string> = {}): Reply {
  const map = new Map(Object.entries(headers));
  return { kind: 'response', response: { status, headers: map, body: '' } };
}

function arrived(head: string): Record<string, string> {
  return { [arrivedHeader]: Buffer.from(head, 'latin1').toString('base64') };
}

const line = { response_code_details: 'via_upstream', connection_termination_details: null };
const details = 'rbac_access_denied_matched_policy[ns[foo]-policy[p]-rule[1]]';

test.each([
  [200, 'other'],
  [400, 'badrequest'],
  [401, 'unauthenticated'],
  [403, 'deny'],
  [426, 'other'],
  [503, 'other'],
])("%i that is not the application's is %s", (status, decision) => {
  expect(observe(response(status), line)).toMatchObject({ decision, status });
});

test('only the application can say that a call was let pass, and how it arrived', () => {
  const read = arrived('GET /a?b HTTP/1.1\r\nhost: x:80\r\nx-request-id: 1');
  expect(observe(response(200, read), line)).toMatchObject({
    decision: 'allow',
    protocol: 'http',
    path: '/a?b',
    authority: 'x:80',
  });
  const unread = observe(response(200, arrived('GET / HTTP/1.1\r\nhost: x')), line);
  expect(unread).toMatchObject({ decision: 'allow', protocol: 'tcp' });
  expect(unread.path).toBeUndefined();
});

test('an echo is let pass; an end and silence are not', () => {
  expect(observe({ kind: 'echo' }, line).decision).toBe('allow');
  const closed = observe({ kind: 'closed', reason: 'reset' }, null);
  expect(closed).toMatchObject({ decision: 'closed', reason: 'reset' });
  expect(observe({ kind: 'silent', reason: 'late' }, null).decision).toBe('other');
});

test('policy and rule come from the log, and its two ways to name them must agree', () => {
  const logged = { ...line, response_code_details: details, policy: 'foo/p', rule: 1, why: 'so' };
  expect(observe(response(403), logged)).toMatchObject({ details, reason: 'so' });
  expect(observe(response(403), { ...logged, rule: 0 }).details).toBe('logged as foo/p rule 0');
  expect(observe(response(403), { ...logged, policy: null }).details).toContain('logged as');
  expect(observe(response(403), null).details).toBe('not logged');
});

test('the details of bytes are those of their end', () => {
  const logged = { ...line, response_code_details: null, policy: 'foo/p', rule: 1 };
  const ended = { ...logged, connection_termination_details: details };
  expect(observe({ kind: 'closed', reason: '' }, ended).details).toBe(details);
});

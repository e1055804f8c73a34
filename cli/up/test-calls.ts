// The calls of PolicyTests, as they are made for real, and what was expected of them.
import { type PolicyTestSpec, policyTestSpec } from '#api/kinds/policy-test.ts';

import type { MeshModel } from '../calls/model.ts';
import type { LiveCall, LiveResult } from './scenario.ts';

export type TestCall = PolicyTestSpec['calls'][number];

/** The calls of the folder's PolicyTests, in order. */
export function testCalls(model: MeshModel): TestCall[] {
  return model.tests.flatMap(({ document }) => {
    const spec = policyTestSpec.safeParse(document['spec']);
    return spec.success ? spec.data.calls : [];
  });
}

/** The same call with the headers that it is to have. */
export function liveCall(call: TestCall, headers: LiveCall['headers']): LiveCall {
  const { from, to, port = 0, method = 'GET', path = '/', host = '' } = call;
  const name = call.name ?? `${method} ${path} from ${from} to ${to}`;
  return { name, from, to, port, method, path, host, headers };
}

/** `expected deny, got allow`; '' when it went as expected. */
export function differenceOf(call: TestCall, result: LiveResult): string {
  if (result.unsent !== '') return result.unsent;
  const got = decisionOf(result);
  return got === call.expect ? '' : `expected ${call.expect}, got ${got}`;
}

/** By the status, unless the application itself answered: its 404 is no refusal of ours. */
function decisionOf({ reply, line }: LiveResult): string {
  if (line?.details === 'via_upstream') return 'allow';
  const words: Readonly<Record<number, string>> = {
    0: 'closed',
    400: 'badrequest',
    401: 'unauthenticated',
    403: 'deny',
  };
  return words[reply.status] ?? (reply.status < 400 ? 'allow' : `status ${reply.status}`);
}

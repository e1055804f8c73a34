// Runs recorded cases through the evaluator: the code that decides in a sidecar, without its sockets.
import { judge } from '#policy/judge.ts';
import type { RecordedCall } from '#policy/judge/call.ts';

import type { Observed } from './compare.ts';
import type { ReplayCase } from './format.ts';
import { compileCase } from './policies.ts';

/** Judges all requests of a case with its policies. */
export async function evaluate(c: ReplayCase): Promise<Observed[]> {
  const policies = compileCase(c);
  const observed: Observed[] = [];
  for (const call of c.requests) observed.push(await judge(policies, call, { authorizer }));
  return observed;
}

/** The authorizer of the recordings: 200 to `x-ext-authz: allow`, else 403. */
export async function authorizer(_: unknown, call: RecordedCall): Promise<boolean> {
  return (call.headers ?? []).some(
    ([name, value]) => name.toLowerCase() === 'x-ext-authz' && value === 'allow',
  );
}

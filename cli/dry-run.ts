// `selvage dry-run`: what policies under trial (annotation istio.io/dry-run) would change, call by call, as calls are made.
import type { CallRecord } from '#api/call-record.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { type Effect, type Effects, effectsOf } from './dry-run/effect.ts';
import type { Io } from './io.ts';
import { printable } from './printable.ts';
import { readFor, readLimit } from './record.ts';
import { calleeOf, callerOf } from './recording/replay-calls.ts';
import { tapCalls } from './recording/tapping.ts';
import { meshOptions, openSidecars, type OpenSidecars } from './sidecars/open.ts';
import { runWithSidecars } from './sidecars/run.ts';
import { paint } from './table.ts';

/** Exit status 0: no call that was seen would be decided otherwise; 1: some would; 2: wrong usage, or the mesh cannot be asked. */
export async function dryRun(
  args: string[],
  io: Io,
  open: OpenSidecars = openSidecars,
): Promise<number> {
  return runWithSidecars(
    { name: 'dry-run', io, open },
    () => readOptions(args),
    async (sidecars, { workload, policy, forMs, callsMax }) => {
      const counts = new Map<Effect, number>();
      let judged = 0;
      const tapping = { workload, facts: false, forMs, callsMax };
      const { calls, dropped } = await tapCalls(sidecars, tapping, io, (call) => {
        const effects = effectsOf(call, policy);
        if (effects === null) return;
        judged += 1;
        counts.set(effects.effect, (counts.get(effects.effect) ?? 0) + 1);
        if (effects.effect !== 'none') io.stdout.write(lineOf(call, effects, io.tty));
      });
      const lost = dropped === 0 ? '' : `, ${dropped} more came too fast`;
      io.stderr.write(
        `${calls} calls${lost}, ${judged} of them to workloads with a policy under trial\n`,
      );
      for (const [effect, words] of Object.entries(summaries)) {
        const count = counts.get(effect as Effect) ?? 0;
        if (count > 0) io.stderr.write(`${count} ${words}\n`);
      }
      if (judged > 0 && judged === (counts.get('none') ?? 0))
        io.stderr.write('none would change\n');
      return (counts.get('deny') ?? 0) + (counts.get('allow') ?? 0) > 0 ? 1 : 0;
    },
  );
}

const summaries: Readonly<Record<Exclude<Effect, 'none'>, string>> = {
  deny: 'would be denied',
  allow: 'would be allowed',
  uncovered: 'are allowed by other policies only, and would be denied without those',
};

const words: Readonly<Record<Exclude<Effect, 'none'>, string>> = {
  deny: 'WOULD DENY ',
  allow: 'WOULD ALLOW',
  uncovered: 'NOT COVERED',
};

function lineOf(call: CallRecord, { effect, sentences }: Effects, tty: boolean): string {
  if (effect === 'none') return '';
  const what = call.protocol === 'TCP' ? 'TCP' : `${call.method} ${call.path}`;
  const word = paint(words[effect], effect === 'deny' ? 'red' : 'yellow', tty);
  const line = `${what} from ${callerOf(call)} to ${calleeOf(call)}:${call.port}`;
  const because = [...sentences, `now ${call.why}`].map((one) => `    ${printable(one)}\n`);
  return `${word}  ${printable(line)}\n${because.join('')}`;
}

function readOptions(args: string[]) {
  const { values, positionals } = readArguments(args, {
    ...meshOptions,
    for: { type: 'string' },
    limit: { type: 'string' },
  });
  const [first, second, ...more] = positionals;
  const isPolicy = first === 'POLICY' || first === 'policy';
  const named = isPolicy ? second : first;
  if (more.length > 0 || (!isPolicy && second !== undefined)) {
    throw new CallError('give one NAMESPACE/WORKLOAD, or policy NAMESPACE/NAME');
  }
  if (isPolicy && named === undefined) throw new CallError('say which policy: NAMESPACE/NAME');
  if (named !== undefined && !/^[^/]+\/[^/]+$/.test(named)) {
    throw new CallError(`"${named}" is no NAMESPACE/WORKLOAD`);
  }
  const { mesh, kubeconfig, context } = values;
  return {
    mesh,
    kubeconfig,
    context,
    workload: isPolicy ? undefined : named,
    policy: isPolicy ? (named ?? null) : null,
    forMs: readFor(values.for),
    callsMax: readLimit(values.limit, Infinity),
  };
}

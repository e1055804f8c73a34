// The ways of calling a workload that policies tell apart: ports, plaintext or mutual TLS, HTTP or bytes.
import type { CompiledPolicies } from '../compile.ts';
import type { Asked } from './asked.ts';
import { chainOf } from './boxes.ts';
import type { Carriage } from './draft.ts';

/**
 * One of each kind: ports that nobody tells apart are one.
 * @param ports those of the workload, and those that PeerAuthentications name
 * @param asked all conditions of both sides
 */
export function carriagesOf(
  sides: readonly CompiledPolicies[],
  ports: readonly number[],
  asked: readonly Asked[],
): Carriage[] {
  const ofPorts = asked.filter(({ subject }) => subject.variable === 'port');
  const carriages = new Map<string, Carriage>();
  for (const port of portsOf(ports, ofPorts)) {
    const met = ofPorts.map(({ subject }) =>
      Number(subject.values.some((value) => Number(value) === port)),
    );
    for (const way of ways) {
      const carriage: Carriage = { ...way, port };
      const chains = sides.map((policies) => chainOf(policies, carriage));
      if (chains.every((chain) => chain === null)) continue;
      // HTTP on a port of bytes is bytes.
      if (way.kind === 'http' && !chains.includes('http')) continue;
      const name = `${JSON.stringify(way)} ${chains.join(' ')} ${met.join('')}`;
      if (!carriages.has(name)) carriages.set(name, carriage);
    }
  }
  return [...carriages.values()];
}

/** The plainest first: an example that they share is of the first. */
const ways: readonly Omit<Carriage, 'port'>[] = [
  { mtls: true, kind: 'http' },
  { mtls: true, kind: 'tcp' },
  { mtls: false, kind: 'http' },
  { mtls: false, kind: 'tcp' },
  { mtls: false, kind: 'tcp', relayed: true },
];

/** Those that somebody names, first those of the workload, and one that nobody does. */
function portsOf(ports: readonly number[], ofPorts: readonly Asked[]): number[] {
  const named = new Set([
    ...ports,
    ...ofPorts.flatMap(({ subject }) => subject.values.map(Number)),
  ]);
  const valid = [...named].filter((port) => port > 0 && port <= 65_535);
  let other = 9999;
  while (named.has(other)) other++;
  return [...valid, other];
}

// Ports to ask name servers from: never one that the application may ask the same server from.
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';

const lowest = 10_000;
const highest = 65_535;
/** Where the kernel chooses, unless it is told otherwise. */
const usualRange = '32768 60999';
/** With fewer an answer would be easy to forge. */
const portsMin = 1000;

/**
 * The kernel tracks what the application has sent to a name server by its port, and for half a minute it redirects all that
 * comes from the same address and port: a question of ours from there would come back to us. So ours come from outside of
 * the range that programs get their ports from.
 * @returns makes a port; 0, which is any, where that range leaves too few
 */
export function sourcePorts(range = readRange()): () => number {
  const [first = lowest, last = highest] = range.split(/\s+/).map(Number);
  const below = Math.max(first - lowest, 0);
  const above = Math.max(highest - Math.max(last, lowest - 1), 0);
  if (below + above < portsMin) return () => 0;
  return () => {
    const at = randomInt(below + above);
    return at < below ? lowest + at : Math.max(last, lowest - 1) + 1 + at - below;
  };
}

function readRange(): string {
  try {
    return readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim();
  } catch {
    return usualRange;
  }
}

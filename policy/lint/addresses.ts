// Addresses: who can forge them, and blocks that mean something else than they look like.
import type { Problem } from '#api/problem.ts';

import { parseIpBlock } from '../match/ip.ts';
import { type LintContext, warning } from './context.ts';
import type { PolicyValue } from './values.ts';

export function checkAddresses({ values }: LintContext): Problem[] {
  return values.flatMap((at) => {
    const address = ['ipBlocks', 'remoteIpBlocks', 'destinationIps'].includes(at.field);
    return address ? [...spoofable(at), ...checkBlock(at)] : [];
  });
}

function spoofable(at: PolicyValue): Problem[] {
  if (at.field !== 'remoteIpBlocks' || !at.path.endsWith('[0]')) return [];
  return [
    warning(at.policy, {
      code: 'remote-ip-forgeable',
      path: at.listPath,
      message:
        `${at.label}: a sidecar takes this address from the last X-Forwarded-For, which any ` +
        'caller can write',
      mend: 'decide by principals; use ipBlocks for the address of the connection itself',
    }),
  ];
}

function checkBlock(at: PolicyValue): Problem[] {
  const { value, label } = at;
  const block = parseIpBlock(value);
  if (block === null) return [];
  const say = (code: string, message: string, mend: string): Problem[] => [
    warning(at.policy, { code, path: at.path, message: `${label}: ${message}`, mend }),
  ];
  if (/^::ffff:/i.test(value)) {
    const message = `"${value}" never matches: an IPv4 peer is compared as IPv4`;
    return say('ip-mapped', message, 'write the IPv4 address alone');
  }
  if (block.length === 0) {
    const [other, own] = block.version === 4 ? ['::/0', 'IPv4'] : ['0.0.0.0/0', 'IPv6'];
    if (at.list.includes(other)) return [];
    const message = `"${value}" matches ${own} addresses only`;
    return say('ip-one-family', message, `add "${other}" to mean every address`);
  }
  const set = hostBits(block);
  if (set === null) return [];
  const message = `"${value}" means the block ${set}: bits behind /${block.length} do not count`;
  return say('ip-host-bits', message, `write "${set}", or the address without a length`);
}

/** The block without its host bits, where it has any; else null. */
function hostBits(block: {
  version: 4 | 6;
  words: readonly number[];
  length: number;
}): string | null {
  let left = block.length;
  const masked = block.words.map((word) => {
    const mask = left >= 32 ? -1 : left <= 0 ? 0 : -1 << (32 - left);
    left -= 32;
    return (word & mask) >>> 0;
  });
  if (masked.every((word, i) => word === (block.words[i] ?? 0) >>> 0)) return null;
  return `${block.version === 4 ? dotted(masked[0] ?? 0) : colons(masked)}/${block.length}`;
}

function dotted(word: number): string {
  return [24, 16, 8, 0].map((shift) => (word >>> shift) & 255).join('.');
}

function colons(words: readonly number[]): string {
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  const text = groups.map((group) => group.toString(16)).join(':');
  return text.replace(/(:0)+$/, '::').replace(/:::$/, '::');
}

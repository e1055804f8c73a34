// The issuers as text, and from text: what a folder's file and a Secret hold.
import type { IssuerRecord, Records } from '../rotation.ts';
import { DamagedState } from './store.ts';

export function formatState(records: Records): string {
  return `${JSON.stringify({ version: 1, issuers: records }, null, 2)}\n`;
}

/** @param place for messages @throws DamagedState */
export function parseState(text: string, place: string): Records {
  const damaged = `${place} is damaged: restore it from a backup. Without it every workload loses trust`;
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch {
    // The parser's own message would quote the text, which has keys.
    throw new DamagedState(damaged);
  }
  const { version, issuers } = (state ?? {}) as { version?: unknown; issuers?: unknown };
  if (version !== 1) {
    throw new DamagedState(`${place} has version ${String(version).slice(0, 20)}, 1 is known`);
  }
  const fits = Array.isArray(issuers) && issuers.every((issuer) => isRecord(issuer));
  // Without an issuer that signs it says nothing that could be gone on with.
  if (!fits || !issuers.some(({ role }) => role === 'signing')) throw new DamagedState(damaged);
  return issuers;
}

const texts = ['id', 'origin', 'certificatePem', 'intermediatesPem', 'rootPem'] as const;
const moreTexts = ['keyPem', 'crossPem'] as const;
const times = [
  'publishedAtMs',
  'signingAtMs',
  'rootNotAfterMs',
  'leafLifeMs',
  'leavesEndMs',
] as const;

function isRecord(value: unknown): value is IssuerRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return (
    ['published', 'signing', 'retired'].includes(String(record['role'])) &&
    [...texts, ...moreTexts].every((name) => typeof record[name] === 'string') &&
    times.every((name) => typeof record[name] === 'number')
  );
}

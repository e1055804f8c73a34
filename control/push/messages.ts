// The lines that a sidecar sends, checked: whatever is not exactly one of three messages is refused.
import type { SidecarMessage } from '#api/snapshot.ts';

/** Why a line is refused; the message is meant for the peer. */
export class MessageRefused extends Error {
  override readonly name = 'MessageRefused';
}

/** A line longer than this is refused; the longest honest one is a nack with its reason. */
export const sidecarLineBytesMax = 16 * 1024;

export type Hello = Extract<SidecarMessage, { type: 'hello' }>;

/** Parses one line. Throws MessageRefused. */
export function parseSidecarMessage(line: string): SidecarMessage {
  const fields = parseObject(line);
  switch (fields['type']) {
    case 'hello':
      return {
        type: 'hello',
        namespace: name(fields, 'namespace'),
        workload: name(fields, 'workload'),
        pod: text(fields, 'pod', 253),
        version: text(fields, 'version', 100),
        have: count(fields, 'have'),
      };
    case 'ack':
      return { type: 'ack', version: count(fields, 'version') };
    case 'nack':
      return {
        type: 'nack',
        version: count(fields, 'version'),
        reason: text(fields, 'reason', sidecarLineBytesMax),
      };
    default:
      throw new MessageRefused('`type` is none of hello, ack, nack');
  }
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new MessageRefused('the line is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MessageRefused('the line is not a JSON object');
  }
  return value as Record<string, unknown>;
}

/** A Kubernetes name (RFC 1123 subdomain). */
function name(fields: Record<string, unknown>, field: string): string {
  const value = text(fields, field, 253);
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(value)) {
    throw new MessageRefused(`\`${field}\` is not a Kubernetes name`);
  }
  return value;
}

function text(fields: Record<string, unknown>, field: string, lengthMax: number): string {
  const value = fields[field];
  if (typeof value !== 'string' || value.length > lengthMax) {
    throw new MessageRefused(`\`${field}\` is not a text of at most ${lengthMax} characters`);
  }
  return value;
}

function count(fields: Record<string, unknown>, field: string): number {
  const value = fields[field];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new MessageRefused(`\`${field}\` is not a whole number from 0`);
  }
  return value;
}

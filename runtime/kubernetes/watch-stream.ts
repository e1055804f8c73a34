// The body of a watch as events, one in each line, checked.
import { LineReader, LineTooLong } from '../lines.ts';
import type { KubeObject, WatchEvent } from './client.ts';
import { kubeErrorOf } from './kube-error.ts';

/** The server sent what is no event: nobody knows what was missed, so only a new list helps. */
export class WatchBroken extends Error {
  override readonly name = 'WatchBroken';
}

const lineBytesMax = 8 * 1024 * 1024;

/** @param call for messages: `GET /api/v1/pods` */
export async function* readEvents(
  body: AsyncIterable<Buffer>,
  call: string,
): AsyncGenerator<WatchEvent> {
  const lines = new LineReader(lineBytesMax);
  try {
    for await (const chunk of body) {
      for (const line of lines.push(chunk)) yield parseWatchLine(line, call);
    }
  } catch (error) {
    if (error instanceof LineTooLong) throw new WatchBroken(`${call}: ${error.message}`);
    throw error;
  }
  if (lines.pendingBytes > 0) throw new Error('the watch ended in the middle of a line');
}

/**
 * Parses one line. An object is given as the server sent it; broken metadata is that one object's fault.
 * @throws KubeError for an ERROR event, WatchBroken for what is no event
 */
export function parseWatchLine(line: string, call: string): WatchEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new WatchBroken(`${call}: a line of the watch is not JSON`);
  }
  if (!isFields(value)) throw new WatchBroken(`${call}: a line of the watch is no JSON object`);
  const { type, object } = value;
  if (type === 'ERROR') throw kubeErrorOf(call, 0, object);
  if (!isFields(object)) throw new WatchBroken(`${call}: an event of the watch has no object`);
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return { type, object: object as unknown as KubeObject };
    default:
      throw new WatchBroken(`${call}: an event of the watch is of an unknown type`);
  }
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

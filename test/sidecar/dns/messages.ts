// Questions as resolvers send them, and answers read back, for tests.
import { Resolver } from 'node:dns/promises';

export interface Asked {
  readonly id?: number;
  readonly type?: number;
  /** A payload makes it a question with EDNS. */
  readonly payload?: number;
}

export function question(name: string, { id = 7, type = 1, payload }: Asked = {}): Buffer {
  const head = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, payload ? 1 : 0]);
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  const edns = payload ? [0, 0, 41, payload >> 8, payload & 0xff, 0, 0, 0, 0, 0, 0] : [];
  return Buffer.concat([head, Buffer.from([...labels, 0, 0, type, 0, 1, ...edns])]);
}

/** An answer without records to a question. */
export function answerTo(query: Buffer, { code = 0, id = query.readUInt16BE(0) } = {}): Buffer {
  const answer = Buffer.from(query);
  answer.writeUInt16BE(id, 0);
  answer.writeUInt16BE(0x8180 | code, 2);
  return answer;
}

export function codeOf(message: Buffer): number {
  return message.readUInt16BE(2) & 0xf;
}

export function answersIn(message: Buffer): number {
  return message.readUInt16BE(6);
}

export function isTruncated(message: Buffer): boolean {
  return (message.readUInt16BE(2) & 0x0200) !== 0;
}

/** A client that others have written: c-ares, which Node has inside. */
export function clientOf(port: number, host = '127.0.0.1'): Resolver {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  resolver.setServers([`${host}:${port}`]);
  return resolver;
}

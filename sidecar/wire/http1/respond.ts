// An answer of our own as the bytes of HTTP/1.1.
import type { Reply } from '../reply.ts';
import { statusLine } from '../status-line.ts';

export const chunkedLine = 'transfer-encoding: chunked\r\n';
export const closeLine = 'connection: close\r\n';
export const upgradeLine = 'connection: upgrade\r\n';

/** What to send, one piece: ASCII but for the body. @param close the connection ends with it */
export function replyBytes({ status, lines, body }: Reply, close: boolean): string | Buffer {
  const connection = close ? closeLine : '';
  const head = `${statusLine(status)}${lines}${connection}\r\n`;
  return typeof body === 'string' ? head + body : Buffer.concat([Buffer.from(head), body]);
}

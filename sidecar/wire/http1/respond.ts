// An answer of our own as the bytes of HTTP/1.1.
import type { Reply } from '../reply.ts';
import { statusLine } from '../status-line.ts';

/** Text to send, one piece: ASCII but for the body. @param close the connection ends with it */
export function replyText({ status, lines, body }: Reply, close: boolean): string {
  const connection = close ? 'connection: close\r\n' : '';
  return `${statusLine(status)}${lines}${connection}\r\n${body}`;
}

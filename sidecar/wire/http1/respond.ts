// An answer of our own as the bytes of HTTP/1.1.
import type { Reply } from '../reply.ts';

const reasons: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** Text to send, one piece: ASCII but for the body. @param close the connection ends with it */
export function replyText({ status, lines, body }: Reply, close: boolean): string {
  const connection = close ? 'connection: close\r\n' : '';
  return `HTTP/1.1 ${status} ${reasons[status] ?? ''}\r\n${lines}${connection}\r\n${body}`;
}

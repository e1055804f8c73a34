// An answer of our own, before any protocol writes it: its status, lines and body, and the form that gRPC callers understand.
import type { Exchange } from '../exchange.ts';

/** gRPC's own table from HTTP (doc/http-grpc-status-mapping.md), as Envoy applies it. */
const grpcStatuses: Readonly<Record<number, string>> = {
  400: '13',
  401: '16',
  403: '7',
  404: '12',
  429: '14',
  502: '14',
  503: '14',
  504: '14',
};
/** UNKNOWN. */
const grpcStatusOtherwise = '2';
const notMessageBytes = /[^\x20-\x24\x26-\x7e]/gu;
const contentTypeLine = /^content-type:.*\r\n/im;

export interface Reply {
  readonly status: number;
  /** Lines `name: value\r\n`, ASCII; its length is said where it may be (RFC 9110 8.6). */
  readonly lines: string;
  /** What is sent of it: nothing in answer to HEAD. */
  readonly body: string | Buffer;
}

/** @param headers lines `name: value\r\n` */
export function replyOf(
  x: Exchange,
  status: number,
  headers: string,
  body: string | Buffer,
): Reply {
  if (x.failure !== null && isGrpc(x)) {
    x.grpcStatus = x.failure.grpcStatus ?? grpcStatusOf(status);
    const message = body.length === 0 ? '' : `grpc-message: ${grpcMessage(String(body))}\r\n`;
    const lines = `${headers.replace(contentTypeLine, '')}content-type: application/grpc\r\n`;
    return whole(200, `${lines}grpc-status: ${x.grpcStatus}\r\n${message}`, '', false);
  }
  return whole(status, headers, body, x.request.method === 'HEAD');
}

function whole(status: number, headers: string, body: string | Buffer, headOnly: boolean): Reply {
  if (status === 204 || status === 304) return { status, lines: headers, body: '' };
  const lines = `${headers}content-length: ${Buffer.byteLength(body)}\r\n`;
  return { status, lines, body: headOnly ? '' : body };
}

/** The call is gRPC's, and so is its caller: it is answered as gRPC wants it. */
export function isGrpc(x: Exchange): boolean {
  if (x.transformed?.transcoded === true) return false;
  const type = x.request.values('content-type')[0] ?? '';
  return type === 'application/grpc' || type.startsWith('application/grpc+');
}

/** What an HTTP status stands for where gRPC's own is missing. */
export function grpcStatusOf(status: number): string {
  return grpcStatuses[status] ?? grpcStatusOtherwise;
}

/** Percent-encoded as gRPC over HTTP/2 wants it. */
function grpcMessage(text: string): string {
  return text.replace(notMessageBytes, (character) =>
    character === '%' || character.codePointAt(0)! < 0x80
      ? `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
      : encodeURIComponent(character.isWellFormed() ? character : '\ufffd'),
  );
}

// An answer of our own as bytes: its status line, framing, and the form that gRPC callers understand.
import type { Exchange } from '../../exchange.ts';

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

/** A whole response. */
export interface Reply {
  readonly status: number;
  /** Latin-1 or UTF-8 text to send; nothing but ASCII in its head. */
  readonly text: string;
  /** Bytes of the body that is sent. */
  readonly bodyBytes: number;
}

/** @param headers lines `name: value\r\n` */
export function replyTo(
  x: Exchange,
  status: number,
  headers: string,
  body: string,
  close: boolean,
): Reply {
  if (x.failure !== null && isGrpc(x)) {
    x.grpcStatus = grpcStatuses[status] ?? grpcStatusOtherwise;
    const lines =
      headers.replace(contentTypeLine, '') +
      `content-type: application/grpc\r\ngrpc-status: ${x.grpcStatus}\r\n` +
      (body === '' ? '' : `grpc-message: ${grpcMessage(body)}\r\n`);
    return whole(200, lines, '', close, false);
  }
  return whole(status, headers, body, close, x.request.method === 'HEAD');
}

function whole(
  status: number,
  headers: string,
  body: string,
  close: boolean,
  headOnly: boolean,
): Reply {
  const bodyBytes = Buffer.byteLength(body);
  // RFC 9110 8.6: neither may say a length.
  const length = status === 204 || status === 304 ? '' : `content-length: ${bodyBytes}\r\n`;
  const connection = close ? 'connection: close\r\n' : '';
  const head = `HTTP/1.1 ${status} ${reasons[status] ?? ''}\r\n${headers}${length}${connection}\r\n`;
  const sent = headOnly || length === '' ? '' : body;
  return { status, text: head + sent, bodyBytes: sent === '' ? 0 : bodyBytes };
}

function isGrpc(x: Exchange): boolean {
  const type = x.request.values('content-type')[0] ?? '';
  return type === 'application/grpc' || type.startsWith('application/grpc+');
}

/** Percent-encoded as gRPC over HTTP/2 wants it. */
function grpcMessage(text: string): string {
  return text.replace(notMessageBytes, (character) =>
    character === '%' || character.codePointAt(0)! < 0x80
      ? `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
      : encodeURIComponent(character.isWellFormed() ? character : '\ufffd'),
  );
}

// envoy.service.auth.v3.CheckRequest: what an authorizer hears of a call, by gRPC.
import { MessageWriter } from './protobuf.ts';

export interface CheckPeer {
  readonly address: string;
  readonly port: number;
  /** SPIFFE ID; '' without mutual TLS. */
  readonly principal: string;
}

export interface CheckRequest {
  readonly source: CheckPeer;
  readonly destination: CheckPeer;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly id: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly host: string;
  readonly scheme: string;
  /** `HTTP/1.1`, `HTTP/2`. */
  readonly protocol: string;
  /** In lower case; several lines of one name are joined. */
  readonly headers: ReadonlyMap<string, string>;
  /** Null: bodies are not sent. */
  readonly body: Buffer | null;
  /** The body goes as bytes, else as text. */
  readonly packAsBytes: boolean;
}

/** Numbers of fields are those of Envoy's attribute_context.proto. */
export function encodeCheckRequest(check: CheckRequest): Buffer {
  const { body } = check;
  const http = new MessageWriter().text(1, check.id).text(2, check.method);
  for (const [name, value] of check.headers) http.entry(3, name, value);
  const query = check.path.indexOf('?');
  http.text(4, check.path).text(5, check.host).text(6, check.scheme);
  // Envoy sends the query as a part of the path alone, and authorizers read it there.
  if (query !== -1) http.text(7, check.path.slice(query + 1));
  if (body !== null) http.number(9, body.length);
  http.text(10, check.protocol);
  if (body !== null && check.packAsBytes) http.raw(12, body);
  else if (body !== null) http.text(11, body.toString('utf8'));
  const time = new MessageWriter()
    .number(1, Math.floor(check.atMs / 1000))
    .number(2, Math.floor(check.atMs % 1000) * 1_000_000);
  const request = new MessageWriter().message(1, time).message(2, http);
  const attributes = new MessageWriter()
    .message(1, peer(check.source))
    .message(2, peer(check.destination))
    .message(4, request);
  return new MessageWriter().message(1, attributes).finish();
}

function peer({ address, port, principal }: CheckPeer): MessageWriter {
  const socket = new MessageWriter().text(2, address).number(3, port);
  return new MessageWriter().message(1, new MessageWriter().message(1, socket)).text(4, principal);
}

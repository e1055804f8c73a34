// Requests of JSON for an application of gRPC: each becomes the call of a method, and the answer JSON again.
import type { GrpcJsonSpec } from '#api/kinds/transformation.ts';

import { Remade, tapAnswer } from '../answer-taps.ts';
import { ProtobufError } from '../authorizer/protobuf.ts';
import type { Exchange, ResponseView } from '../exchange.ts';
import type { AnswerTrailers, HeldAnswer, ResponseTap } from '../response-tap.ts';
import { failures, type Failure, type FailureCode } from '../failures.ts';
import { ENDED, PASS, type Outcome } from '../request-path.ts';
import { pathEnd } from '#policy/conditions/request.ts';
import { lowerLines, StoredHead } from '../stored-head.ts';
import { cutUnanswered } from '../unanswered.ts';
import { type Binding, compileBindings, findBinding, type Found } from './grpc-bindings.ts';
import { bindText } from './grpc-fields.ts';
import { codes, httpStatusOf, readStatus, type GrpcStatus } from './grpc-status.ts';
import type { MessageType } from './protobuf-descriptor.ts';
import { isJsonObject, type JsonObject, parseJson, readMessage } from './protobuf-json-read.ts';
import { writeMessage } from './protobuf-json-write.ts';
import { JsonMismatch } from './protobuf-scalar.ts';
import { codingOf, forgetContent, typeOf } from './readable.ts';

/** Takes the requests that stand for a method; the others pass as they are. */
export interface Transcoder {
  /** @param onTaken called before the request is made another */
  transcode(x: Exchange, onTaken: () => void): Outcome | Promise<Outcome>;
}

const grpcType = 'application/grpc';
const prefixBytes = 5;

/** Throws where nothing of it can be used. */
export function compileTranscoder(
  spec: GrpcJsonSpec,
  bytesMax: number,
  onProblem: (why: string) => void,
): Transcoder {
  const bindings = compileBindings(spec, onProblem);
  return {
    transcode(x, onTaken) {
      const { request } = x;
      if (isGrpcType(request) || request.upgrade !== '') return PASS;
      const found = findBinding(bindings, request.method, request.path);
      if (found === null) return PASS;
      if (found.binding.streams) {
        const why = `${found.binding.path} streams, and only unary methods are transcoded`;
        return refusal(x, 501, codes.unimplemented, why);
      }
      return call(x, found, { bytesMax, ignoreUnknown: spec.ignoreUnknown, onTaken });
    },
  };
}

interface CallOptions {
  readonly bytesMax: number;
  readonly ignoreUnknown: boolean;
  readonly onTaken: () => void;
}

async function call(
  x: Exchange,
  found: Found,
  { bytesMax, ignoreUnknown, onTaken }: CallOptions,
): Promise<Outcome> {
  const { request, stream } = x;
  const coding = codingOf(request);
  const hasType = request.values('content-type').length > 0;
  const read = await stream.readBody(bytesMax);
  if (read === 'gone') return ENDED;
  if (typeof read === 'string') return failures['body-too-large'];
  if (read.length > 0 && (coding !== '' || (hasType && typeOf(request) !== 'json'))) {
    return refusal(x, 415, codes.invalidArgument, 'the body is not JSON as it is');
  }
  const { binding } = found;
  let message: Buffer;
  try {
    const json = requestJson(read, found, request.path, ignoreUnknown);
    message = readMessage(binding.input, json, ignoreUnknown);
  } catch (error) {
    if (error instanceof JsonMismatch) {
      return refusal(x, 400, codes.invalidArgument, error.message);
    }
    throw error;
  }
  onTaken();
  const framed = Buffer.alloc(prefixBytes + message.length);
  framed.writeUInt32BE(message.length, 1);
  message.copy(framed, prefixBytes);
  forgetContent(request);
  for (const name of ['content-type', 'content-encoding', 'accept-encoding']) request.remove(name);
  for (const name of ['grpc-encoding', 'grpc-accept-encoding']) request.remove(name);
  request.append('content-type', grpcType);
  request.callGrpc(binding.path);
  stream.replaceBody(framed);
  tapAnswer(x, new AnswerTap(binding, bytesMax));
  return PASS;
}

/** What body, query and path say together, the path last. */
function requestJson(
  body: Buffer,
  { binding: { rule, input }, variables }: Found,
  path: string,
  ignoreUnknown: boolean,
): unknown {
  let json: JsonObject = {};
  if (rule.body !== '' && body.length > 0) {
    const parsed = parsedOf(body);
    if (rule.body !== '*') json[input.named.get(rule.body)?.jsonName ?? rule.body] = parsed;
    else if (isJsonObject(parsed)) json = parsed;
    // A body that is no object may still be a whole message, as a wrapper is.
    else return parsed;
  } else if (body.length > 0) throw new JsonMismatch('the method takes no body');
  const query = path.slice(pathEnd(path) + 1);
  for (const [name, value] of new URLSearchParams(query)) {
    if (!bindText(input, json, name, value, false) && !ignoreUnknown) {
      throw new JsonMismatch(`the parameter ${name} is no field of ${input.name}`);
    }
  }
  for (const [field, value] of variables) bindText(input, json, field, value, true);
  return json;
}

function parsedOf(body: Buffer): unknown {
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    if (error instanceof RangeError) throw new JsonMismatch('the body is nested too deep');
    throw new JsonMismatch('the body is no JSON in UTF-8');
  }
}

/** Made for one exchange. */
class AnswerTap implements ResponseTap {
  readonly #binding: Binding;
  readonly #bytesMax: number;

  constructor(binding: Binding, bytesMax: number) {
    this.#binding = binding;
    this.#bytesMax = bytesMax;
  }

  /** What is not gRPC's, of a proxy before the application perhaps, passes as it is. */
  begin(_x: Exchange, head: ResponseView): number {
    return head.status === 200 && isGrpcType(head) ? this.#bytesMax + prefixBytes : 0;
  }

  whole(x: Exchange, head: HeldAnswer, body: Buffer, trailers: AnswerTrailers | null): Remade {
    const status = readStatus(head, trailers);
    const json = status.code === codes.ok ? this.#answer(body) : errorJson(status);
    cutUnanswered(head);
    const lines = lowerLines(head);
    const kept = lines.filter(([name]) => name !== 'content-type' && !name.startsWith('grpc-'));
    const made = new StoredHead(httpStatusOf(status.code), kept);
    forgetContent(made);
    made.append('content-type', 'application/json');
    x.grpcStatus = String(status.code);
    x.respondedAtMs = performance.now();
    return new Remade(made, Buffer.from(json));
  }

  tooLong(x: Exchange): FailureCode {
    x.details = 'grpc_json{the_answer_is_too_large}';
    return 'answer-unreadable';
  }

  failed(x: Exchange, error: unknown): FailureCode | undefined {
    if (!(error instanceof ProtobufError)) return undefined;
    x.details = `grpc_json{${error.message.replaceAll(/[^\w.]+/g, '_')}}`;
    return 'answer-unreadable';
  }

  #answer(body: Buffer): string {
    const { output, rule } = this.#binding;
    const json = writeMessage(output, messageIn(body));
    if (rule.responseBody === '') return JSON.stringify(json);
    return JSON.stringify(partOf(output, rule.responseBody, json as JsonObject));
  }
}

/** One field of an answer; what it is by default where it is not there. */
function partOf({ named }: MessageType, name: string, json: JsonObject): unknown {
  const field = named.get(name);
  const value = json[field?.jsonName ?? name];
  if (value !== undefined || field === undefined) return value ?? null;
  if (!field.repeated) return null;
  return field.message?.isMapEntry === true ? {} : [];
}

/** Of the one frame of a unary answer. */
function messageIn(body: Buffer): Buffer {
  if (body.length < prefixBytes || body.readUInt32BE(1) !== body.length - prefixBytes) {
    throw new ProtobufError('the answer is not one message');
  }
  if (body[0] !== 0) throw new ProtobufError('the answer is compressed');
  return body.subarray(prefixBytes);
}

function refusal(x: Exchange, status: number, code: number, message: string): Failure {
  x.replyHeaders += 'content-type: application/json\r\n';
  return { ...failures['body-unreadable'], status, body: errorJson({ code, message }) };
}

function errorJson({ code, message }: GrpcStatus): string {
  return JSON.stringify({ code, message });
}

function isGrpcType(head: Pick<ResponseView, 'values'>): boolean {
  return head.values('content-type')[0]?.toLowerCase().startsWith(grpcType) === true;
}

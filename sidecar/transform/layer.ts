// The inbound layer that edits requests before the application has them, and its answers on their way back.
import { tapAnswer } from '../answer-taps.ts';
import type { BodyRead, Exchange, ResponseView } from '../exchange.ts';
import type { ResponseTap } from '../response-tap.ts';
import { failures, type Failure, type FailureCode } from '../failures.ts';
import { HeldRequest } from '../inbound/held-request.ts';
import { ENDED, PASS, type Outcome } from '../request-path.ts';
import { applyRequestEdits } from '../routing/header-edits.ts';
import type { BodyEdit, TransformRule } from './compile.ts';
import type { Transcoder } from './grpc-json.ts';
import { editQuery } from './query-edit.ts';
import { codingOf, forgetContent, setType, typeOf } from './readable.ts';

/** What is transformed of one exchange. */
export interface Transformed {
  readonly rules: readonly TransformRule[];
  /** Why a body was left as it is; '' when none was. */
  untouched: string;
  /** The caller speaks JSON, the application gRPC. */
  transcoded: boolean;
}

/** Costs a look where nothing is transformed. */
export function transformLayer(x: Exchange): Outcome | Promise<Outcome> {
  const transforms = x.enforced?.transforms ?? null;
  return transforms === null ? PASS : transform(x, transforms.rules);
}

/** Which rules hold is settled by the request as it came: none sees what another made of it. */
function transform(x: Exchange, known: readonly TransformRule[]): Outcome | Promise<Outcome> {
  const { request, downstream } = x;
  const rules = known.filter(({ matches }) => matches?.(downstream.facts, request) ?? true);
  if (rules.length === 0) return PASS;
  const transformed = { rules, untouched: '', transcoded: false };
  x.transformed = transformed;
  // A tunnel is judged again by what the client asked for.
  if (request.upgrade !== '') x.judged ??= new HeldRequest(request);
  if (rules.some(({ responseBody }) => responseBody.length > 0)) tapAnswer(x, answerTap);
  for (const rule of rules) editHead(x, rule);
  const all = request.hasBody ? rules.flatMap(({ requestBody }) => requestBody) : [];
  const edits = planOf(request, all);
  const edited = edits.length === 0 ? PASS : editBody(x, transformed, edits);
  // What a rule edits is what the caller sent, JSON: it becomes gRPC after that.
  const transcoder = rules.find(({ grpcJson }) => grpcJson !== null)?.grpcJson ?? null;
  return transcoder === null ? edited : transcodeAfter(edited, x, transcoder, transformed);
}

async function transcodeAfter(
  edited: Outcome | Promise<Outcome>,
  x: Exchange,
  transcoder: Transcoder,
  transformed: Transformed,
): Promise<Outcome> {
  const outcome = await edited;
  if (outcome !== PASS) return outcome;
  return transcoder.transcode(x, () => {
    transformed.transcoded = true;
  });
}

function editHead(x: Exchange, { headers, path, query }: TransformRule): void {
  const { request } = x;
  if (headers !== null) {
    applyRequestEdits(headers, x);
    if (headers.authority !== '') request.setAuthority(headers.authority);
  }
  const before = request.path;
  const replaced = path === null ? before : path(before);
  const after = query === null ? replaced : editQuery(query, replaced, x);
  if (after !== before) request.setPath(after);
}

async function editBody(
  x: Exchange,
  transformed: Transformed,
  edits: readonly BodyEdit[],
): Promise<Outcome> {
  const { request, stream } = x;
  const refuses = edits.some((edit) => edit.refuses);
  const coding = codingOf(request);
  if (coding !== '') {
    transformed.untouched = `request_content_encoding_${coding}`;
    return refuses ? unreadable(415, 'the body is encoded') : PASS;
  }
  const read: BodyRead = await stream.readBody(bytesMaxOf(edits));
  if (read === 'gone') return ENDED;
  if (typeof read === 'string') return failures['body-too-large'];
  const edited = editAll(read, edits);
  if (edited === null) {
    transformed.untouched = `request_not_${typeOf(request)}`;
    return refuses ? unreadable(400, 'the body is not what its type says') : PASS;
  }
  if (edited === read) return PASS;
  retype(request, edits);
  stream.replaceBody(edited);
  return PASS;
}

const answerTap: ResponseTap = {
  begin(x, head) {
    const edits = head.status === 304 ? [] : answerEdits(x, head);
    if (edits.length === 0) return 0;
    const coding = codingOf(head);
    if (coding !== '') return leave(x, edits, `response_content_encoding_${coding}`) ?? 0;
    if (head.status === 206) return leave(x, edits, 'response_partial') ?? 0;
    return bytesMaxOf(edits);
  },
  whole(x, head, body) {
    const edits = answerEdits(x, head);
    const edited = editAll(body, edits);
    if (edited === null) {
      const refusal = leave(x, edits, `response_not_${typeOf(head)}`);
      if (refusal !== undefined) throw new Unreadable();
      return body;
    }
    if (edited !== body) retype(head, edits);
    return edited;
  },
  tooLong: (x) => leave(x, allAnswerEdits(x), 'response_too_large'),
  failed: (_x, error) => (error instanceof Unreadable ? 'answer-unreadable' : undefined),
};

class Unreadable extends Error {}

/** Notes why the answer stays as it is. @returns the failure that is answered in its place, where a rule wants it */
function leave(x: Exchange, edits: readonly BodyEdit[], why: string): FailureCode | undefined {
  if (x.transformed !== null) x.transformed.untouched = why;
  if (!edits.some(({ refuses }) => refuses)) return undefined;
  x.details = why;
  return 'answer-unreadable';
}

function answerEdits(x: Exchange, head: ResponseView): readonly BodyEdit[] {
  return planOf(head, allAnswerEdits(x));
}

function allAnswerEdits({ transformed }: Exchange): readonly BodyEdit[] {
  return transformed?.rules.flatMap(({ responseBody }) => responseBody) ?? [];
}

/** Those that a body of that type meets, each with what the one before made of it. */
function planOf(head: Pick<ResponseView, 'values'>, edits: readonly BodyEdit[]): BodyEdit[] {
  let type = typeOf(head);
  return edits.filter(({ takes, gives }) => {
    if (takes !== type) return false;
    type = gives;
    return true;
  });
}

function retype(
  head: Pick<ResponseView, 'values' | 'remove' | 'append'>,
  edits: readonly BodyEdit[],
): void {
  forgetContent(head);
  const type = edits.at(-1)?.gives ?? null;
  if (type !== null && type !== edits[0]?.takes) setType(head, type);
}

function editAll(body: Buffer, edits: readonly BodyEdit[]): Buffer | null {
  let edited: Buffer | null = body;
  for (const one of edits) if (edited !== null) edited = one.edit(edited);
  return edited;
}

function bytesMaxOf(edits: readonly BodyEdit[]): number {
  return Math.min(...edits.map(({ bytesMax }) => bytesMax));
}

function unreadable(status: number, body: string): Failure {
  return { ...failures['body-unreadable'], status, body };
}

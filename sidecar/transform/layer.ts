// The inbound layer that edits requests before the application has them, and its answers on their way back.
import { tapAnswer } from '../answer-taps.ts';
import type { BodyRead, Exchange, ResponseTap } from '../exchange.ts';
import { failures, type Failure, type FailureCode } from '../failures.ts';
import { HeldRequest } from '../inbound/held-request.ts';
import { ENDED, PASS, type Outcome } from '../request-path.ts';
import { applyRequestEdits } from '../routing/header-edits.ts';
import type { BodyEdit, TransformRule } from './compile.ts';
import { editJson } from './json-edit.ts';
import { editQuery } from './query-edit.ts';
import { codingOf, forgetContent, isJson } from './readable.ts';

/** What is transformed of one exchange. */
export interface Transformed {
  readonly rules: readonly TransformRule[];
  /** Why a body was left as it is; '' when none was. */
  untouched: string;
}

/** Costs a look where nothing is transformed. */
export function transformLayer(x: Exchange): Outcome | Promise<Outcome> {
  const transforms = x.enforced?.transforms ?? null;
  return transforms === null ? PASS : transform(x, transforms.rules);
}

/** Which rules hold is settled by the request as it came: none sees what another made of it. */
function transform(x: Exchange, all: readonly TransformRule[]): Outcome | Promise<Outcome> {
  const { request, downstream } = x;
  const rules = all.filter(({ matches }) => matches?.(downstream.facts, request) ?? true);
  if (rules.length === 0) return PASS;
  const transformed = { rules, untouched: '' };
  x.transformed = transformed;
  // A tunnel is judged again by what the client asked for.
  if (request.upgrade !== '') x.judged ??= new HeldRequest(request);
  if (rules.some(({ responseBody }) => responseBody !== null)) tapAnswer(x, answerTap);
  for (const rule of rules) editHead(x, rule);
  const edits = rules.flatMap(({ requestBody }) => requestBody ?? []);
  if (edits.length === 0 || !request.hasBody || !isJson(request)) return PASS;
  return editBody(x, transformed, edits);
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
    transformed.untouched = 'request_not_json';
    return refuses ? unreadable(400, 'the body is not the JSON that its type says') : PASS;
  }
  if (edited === read) return PASS;
  forgetContent(request);
  stream.replaceBody(edited);
  return PASS;
}

const answerTap: ResponseTap = {
  begin(x, head) {
    const edits = answerEdits(x);
    if (edits.length === 0 || head.status === 304 || !isJson(head)) return 0;
    const coding = codingOf(head);
    if (coding !== '') return leave(x, `response_content_encoding_${coding}`) ?? 0;
    if (head.status === 206) return leave(x, 'response_partial') ?? 0;
    return bytesMaxOf(edits);
  },
  whole(x, head, body) {
    const edited = editAll(body, answerEdits(x));
    if (edited === null) {
      const refusal = leave(x, 'response_not_json');
      if (refusal !== undefined) throw new Unreadable();
      return body;
    }
    if (edited !== body) forgetContent(head);
    return edited;
  },
  tooLong: (x) => leave(x, 'response_too_large'),
  failed: (_x, error) => (error instanceof Unreadable ? 'answer-unreadable' : undefined),
};

class Unreadable extends Error {}

/** Notes why the answer stays as it is. @returns the failure that is answered in its place, where a rule wants it */
function leave(x: Exchange, why: string): FailureCode | undefined {
  if (x.transformed !== null) x.transformed.untouched = why;
  if (!answerEdits(x).some(({ refuses }) => refuses)) return undefined;
  x.details = why;
  return 'answer-unreadable';
}

function answerEdits({ transformed }: Exchange): readonly BodyEdit[] {
  return transformed?.rules.flatMap(({ responseBody }) => responseBody ?? []) ?? [];
}

function editAll(body: Buffer, edits: readonly BodyEdit[]): Buffer | null {
  let edited: Buffer | null = body;
  for (const edit of edits) if (edited !== null) edited = editJson(edited, edit.edits);
  return edited;
}

function bytesMaxOf(edits: readonly BodyEdit[]): number {
  return Math.min(...edits.map(({ bytesMax }) => bytesMax));
}

function unreadable(status: number, body: string): Failure {
  return { ...failures['body-unreadable'], status, body };
}

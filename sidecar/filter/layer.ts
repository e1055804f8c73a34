// The inbound layer that asks the user's own filters about requests, and about answers on their way back.
import type { FilterRequest } from '#api/filter.ts';

import { answerThrough, tapAnswer } from '../answer-taps.ts';
import type { Exchange, ResponseView } from '../exchange.ts';
import type { HeldAnswer, ResponseTap } from '../response-tap.ts';
import { failures, type FailureCode } from '../failures.ts';
import { HeldRequest } from '../inbound/held-request.ts';
import { ENDED, PASS, type Outcome } from '../request-path.ts';
import { lowerLines, StoredHead } from '../stored-head.ts';
import { codingOf, forgetContent } from '../transform/readable.ts';
import type { CompiledFilter, Filters } from './compile.ts';
import { FilterFailure } from './host.ts';
import { readRequestResult, readResponseResult, type Edits } from './results.ts';

/** Costs a look where there are none. */
export function filterLayer(x: Exchange): Outcome | Promise<Outcome> {
  const filters = x.enforced?.filters ?? null;
  return filters === null ? PASS : filter(x, filters);
}

function filter(x: Exchange, { filters }: Filters): Outcome | Promise<Outcome> {
  const { request, downstream } = x;
  const met = filters.filter(({ matches }) => matches?.(downstream.facts, request) ?? true);
  return met.length === 0 ? PASS : askAll(x, met);
}

async function askAll(x: Exchange, met: readonly CompiledFilter[]): Promise<Outcome> {
  // A tunnel is judged again by what the client asked for.
  if (x.request.upgrade !== '') x.judged ??= new HeldRequest(x.request);
  for (const one of met) {
    const outcome = await ask(x, one);
    if (outcome !== PASS) return outcome;
  }
  return PASS;
}

async function ask(x: Exchange, one: CompiledFilter): Promise<Outcome> {
  let body: Buffer | null = null;
  if (one.requestBody) {
    const read = await x.stream.readBody(one.bodyBytesMax);
    if (read === 'gone') return ENDED;
    if (typeof read === 'string') return failures['body-too-large'];
    body = read;
  }
  const request = requestOf(x, body);
  if (one.responses) tapAnswer(x, new FilterTap(one, { ...request, body: null }));
  try {
    const result = readRequestResult(await one.host.call(request, null));
    if (result === null) return PASS;
    if ('status' in result) {
      x.details = 'response_of_filter';
      await answerThrough(x, new StoredHead(result.status, withDate(result.headers)), result.body);
      return ENDED;
    }
    if (result.body !== null && body === null) {
      throw new FilterFailure('it gives a body and does not ask for requestBody');
    }
    editRequest(x, result);
    return PASS;
  } catch (error) {
    if (!(error instanceof FilterFailure)) throw error;
    x.details = detailsOf(error);
    return one.refuses ? failures['filter-failed'] : PASS;
  }
}

function editRequest({ request, stream }: Exchange, edits: Edits): void {
  editHead(request, edits);
  if (edits.path !== null) request.setPath(edits.path);
  if (edits.body === null) return;
  forgetContent(request);
  stream.replaceBody(edits.body);
}

function editHead(
  head: Pick<ResponseView, 'remove' | 'append'>,
  { remove, set, add }: Edits,
): void {
  for (const name of remove) head.remove(name);
  for (const [name] of set) head.remove(name);
  for (const [name, value] of [...set, ...add]) head.append(name, value);
}

/** Made for one exchange. */
class FilterTap implements ResponseTap {
  readonly #filter: CompiledFilter;
  readonly #request: FilterRequest;

  constructor(one: CompiledFilter, request: FilterRequest) {
    this.#filter = one;
    this.#request = request;
  }

  begin(_x: Exchange, head: ResponseView): number {
    const [type = ''] = head.values('content-type');
    const passes = head.status === 304 || streams.test(type) || codingOf(head) !== '';
    return passes ? 0 : this.#filter.bodyBytesMax;
  }

  async whole(x: Exchange, head: HeldAnswer, body: Buffer): Promise<Buffer> {
    const { host, refuses } = this.#filter;
    const headers = lowerLines(head);
    try {
      const response = { status: head.status, headers, body };
      const edits = readResponseResult(await host.call(this.#request, response));
      if (edits === null) return body;
      editHead(head, edits);
      if (edits.body !== null) forgetContent(head);
      return edits.body ?? body;
    } catch (error) {
      if (!(error instanceof FilterFailure) || refuses) throw error;
      x.details = detailsOf(error);
      return body;
    }
  }

  tooLong(x: Exchange): FailureCode | undefined {
    x.details = 'filter_failed{the_answer_is_too_large}';
    return this.#filter.refuses ? 'filter-failed' : undefined;
  }

  failed(x: Exchange, error: unknown): FailureCode | undefined {
    if (!(error instanceof FilterFailure)) return undefined;
    x.details = detailsOf(error);
    return 'filter-failed';
  }
}

function requestOf({ request, downstream }: Exchange, body: Buffer | null): FilterRequest {
  const { method, path, authority, token } = request;
  const headers = lowerLines(request);
  const claims = token?.payload ?? null;
  return { method, path, authority, headers, body, peer: downstream.facts.identities, claims };
}

function withDate(headers: readonly (readonly [string, string])[]) {
  return [...headers, ['date', new Date().toUTCString()] as const];
}

function detailsOf({ message }: Error): string {
  return `filter_failed{${message.slice(0, 200).replaceAll(/[\s{}]+/g, '_')}}`;
}

const streams = /^\s*(?:application\/grpc|text\/event-stream)/i;

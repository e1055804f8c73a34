// Headers as CEL sees them: a map by lower-case name, the values of several lines joined by a comma.
import type { Exchange } from '../exchange.ts';
import { answerLines, answerValues, trailerLines } from '../telemetry/kept-answer.ts';
import { WrittenMap, type CelMap, type CelResult, type CelValue } from './values.ts';

type Lines = readonly (readonly [name: string, value: string])[];

abstract class Headers implements CelMap {
  abstract value(name: string): string | undefined;
  protected abstract lines(): Lines;

  get(key: CelValue): CelResult {
    return typeof key === 'string' ? this.value(key.toLowerCase()) : undefined;
  }

  keys(): readonly CelValue[] {
    return [...new Set(this.lines().map(([name]) => name.toLowerCase()))];
  }
}

export class RequestHeaders extends Headers {
  readonly #x: Exchange;

  constructor(x: Exchange) {
    super();
    this.#x = x;
  }

  value(name: string): string | undefined {
    const { request, requestId } = this.#x;
    if (name === 'x-request-id' && requestId !== '') return requestId;
    const values = request.values(name);
    if (values.length > 0) return values.length === 1 ? values[0] : values.join(',');
    return pseudo(name, this.#x);
  }

  protected lines(): Lines {
    const named = pseudoNames.map((name): [string, string] => [name, pseudo(name, this.#x) ?? '']);
    const lines = this.#x.request.lines().filter(([name]) => name.toLowerCase() !== 'host');
    return [...named.filter(([, value]) => value !== ''), ...lines];
  }
}

export class AnswerHeaders extends Headers {
  readonly #x: Exchange;

  constructor(x: Exchange) {
    super();
    this.#x = x;
  }

  value(name: string): string | undefined {
    const { status } = this.#x;
    if (name === ':status') return status === 0 ? undefined : String(status);
    const values = answerValues(this.#x, name);
    return values.length > 1 ? values.join(',') : values[0];
  }

  protected lines(): Lines {
    const { status } = this.#x;
    return [
      ...(status === 0 ? [] : [[':status', String(status)] as const]),
      ...answerLines(this.#x),
    ];
  }
}

export function answerTrailers(x: Exchange): CelResult {
  const byName = Map.groupBy(trailerLines(x), ([name]) => name);
  const entries = [...byName].map(
    ([name, lines]) => [name, lines.map(([, value]) => value).join(',')] as const,
  );
  return WrittenMap.of(entries) ?? undefined;
}

const pseudoNames = [':authority', ':method', ':path', ':scheme'];

function pseudo(name: string, { request }: Exchange): string | undefined {
  switch (name) {
    case ':authority':
    case 'host':
      return request.authority || undefined;
    case ':method':
      return request.method || undefined;
    case ':path':
      return request.path || undefined;
    case ':scheme':
      return request.scheme || undefined;
    default:
      return undefined;
  }
}

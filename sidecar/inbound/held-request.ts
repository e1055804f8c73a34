// A request as it was admitted, kept for as long as the tunnel that it opened.
import type { RequestFacts, TokenFacts } from '#policy/facts.ts';

const NONE: readonly string[] = Object.freeze([]);

/** The wire engine uses its own view of a head for the next one; this one stays. */
export class HeldRequest implements RequestFacts {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly token: TokenFacts | null;
  readonly #values = new Map<string, string[]>();

  constructor(request: RequestFacts & { lines(): [name: string, value: string][] }) {
    this.method = request.method;
    this.path = request.path;
    this.authority = request.authority;
    this.scheme = request.scheme;
    this.token = request.token;
    for (const [name, value] of request.lines()) {
      const key = name.toLowerCase();
      const values = this.#values.get(key);
      if (values === undefined) this.#values.set(key, [value]);
      else values.push(value);
    }
  }

  values(name: string): readonly string[] {
    return this.#values.get(name) ?? NONE;
  }

  /** Each header's lines together, names in lower case. */
  lines(): [name: string, value: string][] {
    return [...this.#values].flatMap(([name, values]) =>
      values.map((value): [string, string] => [name, value]),
    );
  }
}

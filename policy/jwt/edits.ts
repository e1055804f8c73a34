// The request as it stands while rules take tokens out of it and put claims into it.
import type { RequestFacts, TokenFacts } from '../facts.ts';
import { cutParameter, type FoundToken, type TokenView } from './locations.ts';

/** What a request must become before it goes on. */
export interface TokenEdits {
  readonly ok: true;
  /** Null when the request carried none. */
  readonly token: TokenFacts | null;
  /** Headers to cut, lower-case; before `append`. */
  readonly remove: readonly string[];
  /** The new `:path` when a parameter was cut out of it. */
  readonly path: string | null;
  readonly append: readonly (readonly [name: string, value: string])[];
}

export class Edits implements TokenView {
  readonly #request: RequestFacts;
  #removed: readonly string[] = nothing;
  #append: TokenEdits['append'] = nothing;
  path: string;

  constructor(request: RequestFacts) {
    this.#request = request;
    this.path = request.path;
  }

  values(name: string): readonly string[] {
    const sent = this.#removed.includes(name) ? nothing : this.#request.values(name);
    if (this.#append.length === 0) return sent;
    const added = this.#append.filter(([header]) => header === name).map(([, value]) => value);
    return added.length === 0 ? sent : [...sent, ...added];
  }

  /** @param names lower-case */
  cut(names: readonly string[]): void {
    if (names.length === 0) return;
    const more = names.filter((name) => !this.#removed.includes(name));
    this.#removed = this.#removed.length === 0 ? more : [...this.#removed, ...more];
    if (this.#append.length > 0) this.#append = this.#append.filter(([n]) => !names.includes(n));
  }

  add(lines: TokenEdits['append']): void {
    if (lines.length > 0) this.#append = [...this.#append, ...lines];
  }

  /** Cuts a token that served its purpose. Cookies stay, as in Envoy. */
  take(token: FoundToken): void {
    if (token.in === 'header') this.cut([token.name]);
    else if (token.in === 'parameter') this.path = cutParameter(this.path, token.name);
  }

  outcome(token: TokenFacts | null): TokenEdits {
    const path = this.path === this.#request.path ? null : this.path;
    return { ok: true, token, remove: this.#removed, path, append: this.#append };
  }
}

const nothing: readonly never[] = Object.freeze([]);

// What is said of hosts, some of them wildcards of which the longest counts. Loads nothing.
import { hostCovers } from './host.ts';

/** What is filed under hosts, found by the most specific one that covers the host that is asked for. */
export class HostMap<T> {
  readonly #exact = new Map<string, T>();
  #wildcards: (readonly [pattern: string, value: T])[] = [];

  get(host: string): T | undefined {
    return this.#exact.get(host);
  }

  set(host: string, value: T): void {
    this.#exact.set(host, value);
    if (!host.startsWith('*')) return;
    this.#wildcards = [...this.#wildcards.filter(([pattern]) => pattern !== host), [host, value]];
    this.#wildcards.sort(([a], [b]) => b.length - a.length || (a < b ? -1 : 1));
  }

  find(host: string): T | undefined {
    const exact = this.#exact.get(host);
    if (exact !== undefined || this.#wildcards.length === 0) return exact;
    return this.#wildcards.find(([pattern]) => hostCovers(pattern, host))?.[1];
  }

  values(): Iterable<T> {
    return this.#exact.values();
  }
}

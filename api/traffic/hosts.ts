// Hosts as rules write them: short names, and wildcards of which the longest counts.

/** Kubernetes' cluster domain: of names, not of identities. */
const clusterDomain = 'cluster.local';

/** A name without dots means a Service of the rule's own namespace; as in Istio `name.namespace` means nothing. */
export function fullHost(host: string, namespace: string): string {
  const lower = host.toLowerCase().replace(/(?<=.)\.$/, '');
  return lower.includes('.') || lower.startsWith('*')
    ? lower
    : `${lower}.${namespace}.svc.${clusterDomain}`;
}

/** Whether all that one host means the other means as well: `*.example.com` covers `*.eu.example.com`. */
export function covers(pattern: string, host: string): boolean {
  if (pattern === host) return true;
  if (!pattern.startsWith('*')) return false;
  const tail = host.startsWith('*') ? host.slice(1) : host;
  return tail.endsWith(pattern.slice(1));
}

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
    return this.#wildcards.find(([pattern]) => covers(pattern, host))?.[1];
  }

  values(): Iterable<T> {
    return this.#exact.values();
  }
}

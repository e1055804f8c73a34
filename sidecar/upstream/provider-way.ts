// How the sidecar itself reaches a host that the mesh's configuration names: a service of the mesh with its mutual TLS, or TLS to outside as its DestinationRule says.
import type { InForce } from '../in-force.ts';
import type { HttpPool } from '../wire/http-pool.ts';
import type { Member } from './member.ts';
import type { Upstreams } from './upstreams.ts';

export interface ProviderParts {
  readonly inForce: InForce;
  readonly upstreams: Upstreams;
}

/** An endpoint of a service that is called by the sidecar. */
export class ProviderWay {
  readonly #member: Member;

  constructor(member: Member) {
    this.#member = member;
  }

  get pool(): HttpPool {
    return this.#member.pool;
  }

  get scheme(): 'http' | 'https' {
    return this.#member.encrypted ? 'https' : 'http';
  }

  /** Why the last connection did not open; '' where it did. */
  get lastError(): string {
    return this.#member.lastError;
  }

  /** An endpoint that gives no answers is left out for a while, as one that applications call. */
  async watched<T>(call: (pool: HttpPool) => Promise<T>): Promise<T> {
    const member = this.#member;
    const startedMs = performance.now();
    const end = (status: number): void => {
      const latencyMs = performance.now() - startedMs;
      member.end({ status, fault: status === 0 ? 'reset' : 'none', latencyMs });
    };
    member.begin();
    try {
      const answer = await call(member.pool);
      end(200);
      return answer;
    } catch (error) {
      end(0);
      throw error;
    }
  }
}

/** Null: no service of the mesh has that name. Throws where it has no endpoint. */
export function providerWay(
  { inForce, upstreams }: ProviderParts,
  host: string,
  port: number,
): ProviderWay | null {
  const route = inForce.current()?.routes.find(`${host}:${port}`, port);
  if (route === undefined || route === 'unknown-port' || route === 'unknown-host') return null;
  const member = upstreams.cluster(route)?.pick([]) ?? null;
  if (member === null) throw new Error(`${host} has no endpoint`);
  return new ProviderWay(member);
}

// Answers questions for names: those of the mesh from the snapshot in force, all others by asking the system's name servers.
import type { Service, Snapshot } from '#api/snapshot.ts';

import { writeAnswer, writeFailure, writeTruncated } from './answer.ts';
import { Hosts, type Families, type Host } from './hosts.ts';
import { codes, types } from './message.ts';
import type { Nameservers, Transport } from './nameservers.ts';
import { payloadLimit, readQuery, type Query } from './query.ts';

export interface ResolverParts {
  /** What is in force; null: nothing yet. */
  readonly snapshot: () => Snapshot | null;
  /** What the system's resolver adds to names at first; '': nothing. */
  readonly search: string;
  readonly families: Families;
  readonly nameservers: Pick<Nameservers, 'ask'>;
}

/** As Istio's, and as short as a change of a Service is worth. */
const ttlSeconds = 30;
/** Questions that wait for name servers: more is no program's way of looking names up. Each is a socket. */
const waitingMax = 512;

export class Resolver {
  readonly #parts: ResolverParts;
  #services: readonly Service[] | null = null;
  #hosts: Hosts | null = null;
  #waiting = 0;
  #turn = 0;

  constructor(parts: ResolverParts) {
    this.#parts = parts;
  }

  /** Null: there is no answer to it. Never rejects. */
  async answer(bytes: Buffer, transport: Transport): Promise<Buffer | null> {
    const query = readQuery(bytes);
    if (query === null) return null;
    if (query.kind === 'refused') return query.answer;
    const answer = this.#answerOfMesh(query) ?? (await this.#askOthers(query, transport));
    const fits = transport === 'tcp' || answer.length <= payloadLimit(query);
    return fits ? answer : writeTruncated(query);
  }

  /** Null: the mesh knows nothing of it. Other records than addresses are for those who have them. */
  #answerOfMesh(query: Query): Buffer | null {
    const { host: name, type, isInternet } = query;
    if (name === null || !isInternet || (type !== types.a && type !== types.aaaa)) return null;
    const host = this.#find(name);
    if (host === null) return null;
    const addresses = this.#turned(type === types.a ? host.ipv4 : host.ipv6);
    return writeAnswer(query, { canonical: host.canonical, addresses }, ttlSeconds);
  }

  #find(name: string): Host | null {
    const snapshot = this.#parts.snapshot();
    if (snapshot === null) return null;
    const { services, workload } = snapshot;
    if (services !== this.#services || this.#hosts === null) {
      const { search, families } = this.#parts;
      this.#hosts = new Hosts(services, workload.namespace, search, families);
      this.#services = services;
    }
    return this.#hosts.find(name);
  }

  /** Each answer begins with another address: many programs only take the first. */
  #turned(addresses: readonly string[]): readonly string[] {
    if (addresses.length < 2) return addresses;
    this.#turn = (this.#turn + 1) % 0x10000;
    const first = this.#turn % addresses.length;
    return [...addresses.slice(first), ...addresses.slice(0, first)];
  }

  async #askOthers(query: Query, transport: Transport): Promise<Buffer> {
    if (this.#waiting >= waitingMax) return writeFailure(query, codes.serverFailure);
    this.#waiting += 1;
    const answer = await this.#parts.nameservers.ask(query, transport);
    this.#waiting -= 1;
    return answer ?? writeFailure(query, codes.serverFailure);
  }
}

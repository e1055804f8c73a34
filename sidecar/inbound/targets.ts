// Where connections to the workload go: to a fixed address for a mapped port, to where they were meant for a captured one.
import type { Socket } from 'node:net';

import { formatAddress } from '#runtime/plain-address.ts';

import type { OriginalDestinationOf } from '../outbound/original-destination.ts';
import type { OwnPorts } from '../upstream/own-ports.ts';
import type { Application, InboundTarget } from './connection.ts';
import type { TargetOf } from './listener.ts';
import type { PortRules } from './port-rules.ts';
import { Target } from './target.ts';

/** Targets that nobody uses are kept up to so many: whoever scans ports must not fill the memory. */
export const idleTargetsMax = 128;

/** By its source address the system's rules know what the sidecar hands on, and let it pass. */
const sources = { 4: '127.0.0.6', 6: '::6' } as const;

interface Known {
  readonly target: Target;
  connections: number;
}

/** A target for each port that somebody has connected to, made on demand. */
export class CapturedTargets {
  readonly #originalDestination: OriginalDestinationOf;
  readonly #ownPorts: OwnPorts;
  readonly #rules: PortRules;
  readonly #known = new Map<string, Known>();
  #idle = 0;

  constructor(originalDestination: OriginalDestinationOf, ownPorts: OwnPorts, rules: PortRules) {
    this.#originalDestination = originalDestination;
    this.#ownPorts = ownPorts;
    this.#rules = rules;
    rules.onChange(() => {
      for (const { target } of this.#known.values()) target.follow(rules.of(target.port));
    });
  }

  get size(): number {
    return this.#known.size;
  }

  take(socket: Socket): ReturnType<TargetOf> {
    const original = this.#originalDestination(socket);
    if (original === null) {
      const refusal = 'the connection was not captured: nobody knows where it was to go';
      return { target: nowhere(socket), refusal };
    }
    const { host, port } = original;
    if (this.#ownPorts.has(port)) {
      return { target: nowhere(socket), refusal: `port ${port} is the sidecar's own` };
    }
    const key = formatAddress(host, port);
    const known = this.#known.get(key) ?? this.#add(key, host, port);
    if (known.connections === 0) this.#idle -= 1;
    known.connections += 1;
    socket.once('close', () => this.#release(known));
    return { target: known.target, refusal: '' };
  }

  #add(key: string, host: string, port: number): Known {
    const from = host.includes(':') ? sources[6] : sources[4];
    const target = new Target({
      ip: host,
      port,
      application: { host, port, path: '', from },
      // The pod's own address is called as by anybody else; loopback is let pass in any case.
      at: (place): Application =>
        place.host === ''
          ? { host, port: place.port, path: '', from }
          : { ...place, path: '', from: '' },
      ownPorts: this.#ownPorts,
    });
    target.follow(this.#rules.of(port));
    const known = { target, connections: 0 };
    this.#known.set(key, known);
    this.#idle += 1;
    return known;
  }

  #release(known: Known): void {
    known.connections -= 1;
    if (known.connections > 0) return;
    this.#idle += 1;
    if (this.#idle > idleTargetsMax) this.#forgetOldest();
  }

  /** A Map keeps the order of insertion. */
  #forgetOldest(): void {
    for (const [key, { target, connections }] of this.#known) {
      if (connections > 0) continue;
      this.#known.delete(key);
      this.#idle -= 1;
      target.pool.close();
      return;
    }
  }
}

/** For the log of a connection that goes nowhere. */
function nowhere(socket: Socket): InboundTarget {
  const [host, port] = [socket.localAddress ?? '', socket.localPort ?? 0];
  const application = { host, port, path: '', from: '' };
  return new Target({ ip: '', port, application, at: () => application, ownPorts: null });
}

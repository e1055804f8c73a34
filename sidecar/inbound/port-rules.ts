// What is in force for calls to each port of the workload.
import type { InboundPort } from '#api/traffic/inbound.ts';

import type { InForce } from '../in-force.ts';

const none: readonly InboundPort[] = [];

export class PortRules {
  #list: readonly InboundPort[] = none;
  #byPort = new Map<number, InboundPort>();
  readonly #listeners: (() => void)[] = [];

  constructor(inForce: Pick<InForce, 'current' | 'onChange'>) {
    this.#take(inForce.current()?.snapshot.inbound ?? none);
    inForce.onChange(({ snapshot: { inbound = none } }) => {
      if (inbound === this.#list) return;
      this.#take(inbound);
      for (const listener of this.#listeners) listener();
    });
  }

  /** Null: nothing is said of it. */
  of(port: number): InboundPort | null {
    return this.#byPort.get(port) ?? this.#byPort.get(0) ?? null;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  #take(list: readonly InboundPort[]): void {
    this.#list = list;
    this.#byPort = new Map(list.map((one) => [one.port, one]));
  }
}

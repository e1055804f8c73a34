// Hosts of services that stand for many: wildcards of names, and blocks of addresses.
import { HostMap } from '#api/traffic/hosts.ts';
import { containsIp, parseIpBlock, readIp, type IpBlock } from '#policy/match/ip.ts';

interface Block {
  readonly block: IpBlock;
  readonly at: number;
}

/** Asked only for hosts that no service has by name. Port by port, the most specific pattern counts. */
export class Patterns {
  readonly #names = new Map<number, HostMap<number>>();
  readonly #blocks = new Map<number, Block[]>();

  static isPattern(host: string): boolean {
    return host.startsWith('*') || host.includes('/');
  }

  /** @param at what it leads to; who comes first keeps a pattern */
  add(host: string, port: number, at: number): void {
    if (host.startsWith('*')) {
      const names = this.#names.get(port) ?? new HostMap<number>();
      this.#names.set(port, names);
      if (names.get(host) === undefined) names.set(host, at);
      return;
    }
    const block = parseIpBlock(host);
    if (block === null) return;
    const blocks = [...(this.#blocks.get(port) ?? []), { block, at }];
    // Sorting is stable: of equal ones the first stays first.
    this.#blocks.set(
      port,
      blocks.toSorted((a, b) => b.block.length - a.block.length),
    );
  }

  /** Null: none covers it. @param host lower-case */
  find(host: string, port: number): number | null {
    const blocks = this.#blocks.get(port);
    if (blocks !== undefined) {
      const address = readIp(host);
      if (address.version !== 0) {
        return blocks.find(({ block }) => containsIp(block, address))?.at ?? null;
      }
    }
    return this.#names.get(port)?.find(host) ?? null;
  }
}

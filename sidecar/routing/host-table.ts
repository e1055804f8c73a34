// What is said of hosts and ports: a host's own before a wildcard's, its port's before all ports', the first of several.

/** What is said of one host. */
interface ByPort<Item> {
  allPorts: Item | null;
  ports: Map<number, Item> | null;
}

export class HostTable<Item> {
  private readonly exact = new Map<string, ByPort<Item>>();
  /** By what follows the `*`: `.example.com`, or nothing. */
  private readonly wild = new Map<string, ByPort<Item>>();

  get empty(): boolean {
    return this.exact.size + this.wild.size === 0;
  }

  /** @param host lower-case, `*.example.com` or `*` @param port 0: all */
  add(host: string, port: number, item: Item): void {
    if (host.startsWith('*')) put(this.wild, host.slice(1), port, item);
    else put(this.exact, host, port, item);
  }

  find(host: string, port: number): Item | null {
    const own = at(this.exact.get(host), port);
    return own !== null || this.wild.size === 0 ? own : this.findWild(host, port);
  }

  /** The longest wildcard first. */
  private findWild(host: string, port: number): Item | null {
    for (let dot = host.indexOf('.', 1); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const found = at(this.wild.get(host.slice(dot)), port);
      if (found !== null) return found;
    }
    return at(this.wild.get(''), port);
  }
}

function put<Item>(
  byHost: Map<string, ByPort<Item>>,
  host: string,
  port: number,
  item: Item,
): void {
  let entry = byHost.get(host);
  if (entry === undefined) {
    entry = { allPorts: null, ports: null };
    byHost.set(host, entry);
  }
  if (port === 0) {
    entry.allPorts ??= item;
    return;
  }
  entry.ports ??= new Map();
  if (!entry.ports.has(port)) entry.ports.set(port, item);
}

function at<Item>(entry: ByPort<Item> | undefined, port: number): Item | null {
  if (entry === undefined) return null;
  return entry.ports?.get(port) ?? entry.allPorts;
}

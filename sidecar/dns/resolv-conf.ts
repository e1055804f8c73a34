// /etc/resolv.conf, as far as it matters here: which servers are asked, and what is added to names.
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

export interface ResolvConf {
  /** IP addresses, in the order in which they are asked. */
  readonly servers: readonly string[];
  /** Lower-case, without dots at their ends. */
  readonly search: readonly string[];
}

/** As many as the resolvers of C libraries ask. */
const serversMax = 3;
const path = '/etc/resolv.conf';

/** Rejects where it cannot be read. */
export async function readResolvConf(): Promise<ResolvConf> {
  return parseResolvConf(await readFile(path, 'utf8'));
}

/** Of several `search` (or `domain`) lines the last one counts; what is no address is no server. */
export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let search: readonly string[] = [];
  for (const line of text.split('\n')) {
    const [word = '', ...rest] = line.trim().split(/\s+/);
    if (word === 'nameserver' && isIP(rest[0] ?? '') !== 0) servers.push(rest[0] ?? '');
    if (word === 'search' || word === 'domain') {
      search = rest.map((name) => name.toLowerCase().replaceAll(/^\.+|\.+$/g, ''));
    }
  }
  return { servers: [...new Set(servers)].slice(0, serversMax), search: search.filter(Boolean) };
}

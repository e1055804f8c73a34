// Runs iptables: which of its two kinds this system uses, what is in force, and a change of it in one commit.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { countRules, type Family } from './rules.ts';

export type Kind = 'nft' | 'legacy';

/** Another program may hold the lock of xtables for so long. */
const lockWaitSeconds = 10;

export class Iptables {
  readonly family: Family;
  readonly kind: Kind;
  readonly #path: string;

  constructor(family: Family, kind: Kind, path: string) {
    this.family = family;
    this.kind = kind;
    this.#path = path;
  }

  get name(): string {
    return `${this.family === 4 ? 'iptables' : 'ip6tables'}-${this.kind}`;
  }

  /** The table `nat` as text; a table that nobody has used yet may have none. */
  async save(): Promise<string> {
    return this.#run(`${this.name}-save`, ['-t', 'nat'], '');
  }

  /** One commit: all of it or nothing. */
  async restore(text: string): Promise<void> {
    await this.#run(`${this.name}-restore`, ['--noflush', '-w', `${lockWaitSeconds}`], text);
  }

  /** '' when rules can be set here, else why not. */
  async trouble(): Promise<string> {
    try {
      await this.#run(this.name, ['-w', `${lockWaitSeconds}`, '-t', 'nat', '-S', 'OUTPUT'], '');
      return '';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #run(program: string, args: readonly string[], input: string): Promise<string> {
    const { status, stdout, stderr } = await run(program, args, input, this.#path);
    if (status === 0) return stdout;
    throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${explain(stderr)}`);
  }
}

/**
 * The kind that has rules already wins, ours or others' (two kinds at once contradict each other);
 * else nft, where it works. Null: neither works; the reasons are in `troubles`.
 */
export async function chooseIptables(
  family: Family,
  wanted: Kind | 'auto',
  path: string,
  troubles: string[],
): Promise<Iptables | null> {
  const kinds: readonly Kind[] = wanted === 'auto' ? ['nft', 'legacy'] : [wanted];
  let chosen: Iptables | null = null;
  let most = -1;
  for (const kind of kinds) {
    const candidate = new Iptables(family, kind, path);
    // Asked first: looking at a table of legacy would make it.
    const saved = await candidate.save().catch(() => '');
    const count = countRules(saved);
    if (count <= most) continue;
    const trouble = await candidate.trouble();
    if (trouble !== '') troubles.push(trouble);
    else [chosen, most] = [candidate, count];
  }
  return chosen;
}

/** Gives the loopback interface the address from which the application is called; '' or why not. */
export async function addLoopbackAddress(address: string, path: string): Promise<string> {
  const args = ['-6', 'addr', 'add', `${address}/128`, 'dev', 'lo'];
  const { status, stderr } = await run('ip', args, '', path);
  return status === 0 || /File exists|already assigned/.test(stderr) ? '' : explain(stderr);
}

export async function removeLoopbackAddress(address: string, path: string): Promise<void> {
  await run('ip', ['-6', 'addr', 'del', `${address}/128`, 'dev', 'lo'], '', path);
}

function explain(stderr: string): string {
  const text = stderr.trim().replaceAll('\n', '; ');
  if (!/Permission denied|Operation not permitted|you must be root/i.test(text)) return text;
  return `${text} (the container needs the capabilities NET_ADMIN and NET_RAW, and to run as root)`;
}

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that is not there ends with 127, as in a shell. */
async function run(
  program: string,
  args: readonly string[],
  input: string,
  path: string,
): Promise<Ended> {
  const child = spawn(program, args, { env: { PATH: path, LC_ALL: 'C' } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => (stdout += String(bytes)));
  child.stderr.on('data', (bytes: Buffer) => (stderr += String(bytes)));
  // It may end before it has read everything: its status tells.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  try {
    const [status] = (await once(child, 'close')) as [number | null];
    return { status: status ?? 1, stdout, stderr };
  } catch (error) {
    return { status: 127, stdout, stderr: error instanceof Error ? error.message : String(error) };
  }
}

// What the mesh's own processes log, for a person: one short line for each warning, silence while all starts.
import { type Colour, paint } from '../table.ts';

/** Lines kept from the start, to be shown if it fails. */
const heldMax = 200;

/**
 * Until `up()` is called lines are held back: a mesh that starts warns of what is not there yet (an issuer that is one
 * of its own programs), and what lasts is told once everything runs.
 */
export class MeshLog {
  readonly #write: (text: string) => void;
  readonly #tty: boolean;
  #held: string[] | null = [];

  constructor(write: (text: string) => void, tty: boolean) {
    this.#write = write;
    this.#tty = tty;
  }

  take(process: string, line: string): void {
    const text = describeLog(process, line, this.#tty);
    if (this.#held === null) this.#write(text);
    else if (this.#held.length < heldMax) this.#held.push(text);
  }

  /** All runs: what was held back is of no interest any more. */
  up(): void {
    this.#held = null;
  }

  /** It did not start: what was said meanwhile may tell why. */
  failed(): void {
    for (const text of this.#held ?? []) this.#write(text);
    this.#held = null;
  }
}

/** `control: warn: no keys of an issuer (reason=…)`; a line that is no JSON comes as it is. */
export function describeLog(process: string, line: string, tty: boolean): string {
  const fields = parse(line);
  if (fields === null) return `${paint(`${process} |`, 'dim', tty)} ${line}\n`;
  const { level, msg, time: _time, name: _name, pid: _pid, hostname: _host, ...rest } = fields;
  const colours: Readonly<Record<string, Colour>> = { warn: 'yellow', error: 'red', fatal: 'red' };
  const severity = paint(String(level), colours[String(level)], tty);
  const details = Object.entries(rest)
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const tail = details.length === 0 ? '' : paint(` (${details.join(', ')})`, 'dim', tty);
  return `${paint(`${process} |`, 'dim', tty)} ${severity}: ${String(msg)}${tail}\n`;
}

function parse(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('msg' in value)) return null;
    return { ...value };
  } catch {
    return null;
  }
}

// A file with the roots to trust that others change while we run, as a mounted ConfigMap.
import { readFile, stat } from 'node:fs/promises';

import type { Clock, Timer } from '../clock.ts';

export interface BundleFileOptions {
  readonly path: string;
  /** With the new content, whatever it is; not called for the first. */
  readonly onChange: (pem: string) => void;
  readonly clock: Clock;
  /** 5 s where it is left out: the kubelet itself takes up to a minute. */
  readonly everyMs?: number;
}

/** Looked at and not watched: the kubelet swaps a link above the file, which a watch of the file does not see. */
export class BundleFile {
  readonly #options: BundleFileOptions;
  /** What tells one content from another; null: not looked at yet. */
  #seen: string | null = null;
  #timer: Timer | null = null;
  #stopped = false;

  constructor(options: BundleFileOptions) {
    this.#options = options;
  }

  /** The content as of now; '' where there is none. */
  async read(): Promise<string> {
    return readFile(this.#options.path, 'utf8').catch(() => '');
  }

  start(): void {
    void this.#look().finally(() => this.#later());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #later(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(this.#options.everyMs ?? 5000, () => this.start());
  }

  async #look(): Promise<void> {
    const { path, onChange } = this.#options;
    const found = await stat(path).catch(() => null);
    // A file that is away for a moment is no other content.
    if (found === null || this.#stopped) return;
    const { mtimeMs, size, ino } = found;
    const version = `${mtimeMs} ${size} ${ino}`;
    const changed = this.#seen !== null && this.#seen !== version;
    this.#seen = version;
    if (changed) onChange(await this.read());
  }
}

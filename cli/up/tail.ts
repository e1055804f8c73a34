// Follows a file of JSON lines as it grows, also through its creation and its rotation.
import { open, stat } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';

const pollMs = 100;
const chunkBytes = 64 * 1024;

/** Calls back with each complete line, parsed; lines that are no JSON object are left out. */
export class JsonTail {
  readonly #file: string;
  readonly #onLine: (line: Readonly<Record<string, unknown>>) => void;
  readonly #timer: NodeJS.Timeout;
  #at = 0;
  #rest = '';
  readonly #decoder = new StringDecoder('utf8');
  #reading: Promise<void> = Promise.resolve();

  constructor(file: string, onLine: (line: Readonly<Record<string, unknown>>) => void) {
    this.#file = file;
    this.#onLine = onLine;
    this.#timer = setInterval(() => void this.poll(), pollMs);
  }

  /** Reads what is there now; calls never overlap. */
  poll(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read());
    return this.#reading;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #read(): Promise<void> {
    const size = await stat(this.#file).then(
      (info) => info.size,
      () => 0,
    );
    if (size < this.#at) this.#at = 0;
    if (size === this.#at) return;
    const handle = await open(this.#file, 'r');
    try {
      const buffer = Buffer.alloc(chunkBytes);
      for (;;) {
        const { bytesRead } = await handle.read(buffer, 0, chunkBytes, this.#at);
        if (bytesRead === 0) return;
        this.#at += bytesRead;
        this.#take(this.#decoder.write(buffer.subarray(0, bytesRead)));
      }
    } finally {
      await handle.close();
    }
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const value = parse(line);
      if (value !== null) this.#onLine(value);
    }
  }
}

function parse(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

// The channels of a command that runs in a container: what it wrote, and how it ended.
import { StringDecoder } from 'node:string_decoder';

/** What a command did. */
export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status. */
  readonly status: number;
}

const channels = { stdout: 1, stderr: 2, error: 3 } as const;

/** Gathers the messages of one command, within a limit. Each begins with the number of its channel. */
export class ExecChannels {
  readonly #bytesMax: number;
  readonly #onStdout: ((text: string) => void) | null;
  readonly #decoder = new StringDecoder('utf8');
  readonly #stdout: Uint8Array[] = [];
  readonly #stderr: Uint8Array[] = [];
  #bytes = 0;
  #status = '';

  /** @param onStdout gets what the command writes as it comes: it is not gathered then, and not limited */
  constructor(bytesMax: number, onStdout: ((text: string) => void) | null = null) {
    this.#bytesMax = bytesMax;
    this.#onStdout = onStdout;
  }

  /** @throws Error when there is more than the limit */
  take(message: Uint8Array): void {
    const [channel] = message;
    const bytes = message.subarray(1);
    if (channel === channels.stdout && this.#onStdout !== null) {
      this.#onStdout(this.#decoder.write(bytes));
      return;
    }
    this.#bytes += bytes.length;
    if (this.#bytes > this.#bytesMax) {
      throw new Error(`the command wrote more than ${this.#bytesMax} bytes`);
    }
    if (channel === channels.stdout) this.#stdout.push(bytes);
    else if (channel === channels.stderr) this.#stderr.push(bytes);
    else if (channel === channels.error) this.#status += Buffer.from(bytes).toString('utf8');
  }

  /** How the command ended; null: the connection ended first. @throws Error when it could not be run */
  result(): ExecResult | null {
    if (this.#status === '') return null;
    return {
      stdout: Buffer.concat(this.#stdout).toString('utf8'),
      stderr: Buffer.concat(this.#stderr).toString('utf8'),
      status: exitStatusOf(this.#status),
    };
  }
}

/** Reads the metav1.Status of the error channel. @throws Error with its message when no command ran to its end */
export function exitStatusOf(text: string): number {
  let status: unknown;
  try {
    status = JSON.parse(text);
  } catch {
    throw new Error(`the command could not be run: ${text.slice(0, 500)}`);
  }
  const { status: word, reason, message, details } = fieldsOf(status);
  if (word === 'Success') return 0;
  const { causes } = fieldsOf(details);
  const exit = (Array.isArray(causes) ? causes : [])
    .map(fieldsOf)
    .find((cause) => cause['reason'] === 'ExitCode');
  const code = typeof exit?.['message'] === 'string' ? Number(exit['message']) : Number.NaN;
  if (reason === 'NonZeroExitCode' && Number.isInteger(code)) return code;
  const said = typeof message === 'string' ? message : text;
  throw new Error(`the command could not be run: ${said.slice(0, 500)}`);
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

// Where a command writes, so that a test can read what a person would see.

export interface Output {
  write(text: string): unknown;
}

export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly cwd: string;
  /** Colours and redrawing are for people; files and pipes get plain text. */
  readonly tty: boolean;
  /** Width of the terminal; left out where there is none, and then no line is folded. */
  readonly columns?: number;
  /** Environment of the process; left out: meshes of this machine are not looked for. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The process's own streams. */
export function processIo(): Io {
  const { stdout, stderr } = process;
  for (const stream of [stdout, stderr]) {
    // `| head` has read enough, or the terminal is gone: no reason to fall over. `up` ends by itself then.
    stream.on('error', () => undefined);
  }
  return {
    stdout,
    stderr,
    cwd: process.cwd(),
    env: process.env,
    // https://no-color.org
    tty: stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
    ...(stdout.isTTY ? { columns: stdout.columns } : {}),
  };
}

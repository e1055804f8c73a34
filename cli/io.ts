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
}

/** The process's own streams. */
export function processIo(): Io {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    cwd: process.cwd(),
    tty: process.stdout.isTTY,
  };
}

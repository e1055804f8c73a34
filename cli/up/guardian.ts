// Ends what is left of a local mesh when the process that started it was killed before it could.
import { type ChildProcess, spawn } from 'node:child_process';

/**
 * A shell that reads process groups from a pipe: `+ 12`, `- 12`, `end`. The pipe's end without `end` means that nobody
 * is there any more to stop them. The state folder holds keys, so it goes too.
 */
const script = `
trap '' INT TERM HUP
groups=' '
while read -r op group; do
  case $op in
    +) groups="$groups$group " ;;
    -) groups="\${groups%% $group *} \${groups#* $group }" ;;
    end) exit 0 ;;
  esac
done
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null; done
sleep 3
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
rm -rf -- "$@"
`;

export class Guardian {
  readonly #shell: ChildProcess;

  /** @param paths removed when the mesh was killed: its private folder, and what it says of itself */
  constructor(paths: readonly string[]) {
    this.#shell = spawn('/bin/sh', ['-c', script, 'selvage-guardian', ...paths], {
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    // Without a shell the mesh runs all the same.
    this.#shell.once('error', () => undefined);
    this.#shell.stdin?.once('error', () => undefined);
    this.#shell.unref();
  }

  /** From now on the process group of this leader is looked after. */
  watch(pid: number): void {
    this.#say(`+ ${pid}`);
  }

  /** It has ended: its number may be another's soon. */
  release(pid: number): void {
    this.#say(`- ${pid}`);
  }

  /** All ended in order. */
  dismiss(): void {
    this.#say('end');
    this.#shell.stdin?.end();
  }

  #say(line: string): void {
    this.#shell.stdin?.write(`${line}\n`);
  }
}

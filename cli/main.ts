// The `selvage` command: a table of subcommands, each loaded when it is asked for.
import { type Io, processIo } from './io.ts';

/** Runs with the arguments after its name; answers the process's exit status. */
type Command = (args: string[], io: Io) => Promise<number>;

interface CommandEntry {
  readonly usage: string;
  readonly summary: string;
  load(): Promise<Command>;
}

const commands: Readonly<Record<string, CommandEntry>> = {
  up: {
    usage: 'up DIR [--once] [--send]',
    summary: 'run the whole mesh and the local programs of a folder of YAML',
    load: async () => (await import('./up.ts')).up,
  },
  demo: {
    usage: 'demo [--once]',
    summary: 'run the shop example with real traffic, good and bad',
    load: async () => (await import('./demo.ts')).demo,
  },
  check: {
    usage: 'check PATH... [--output text|json] [--strict]',
    summary: 'validate YAML: errors, dangling references, and where Istio surprises',
    load: async () => (await import('./check.ts')).check,
  },
  explain: {
    usage: 'explain --from NS/SA --to NS/WORKLOAD [--method M] [--path P] PATH...',
    summary: 'say whether a call is allowed, which rule decides, or what came nearest',
    load: async () => (await import('./explain.ts')).explain,
  },
  test: {
    usage: 'test PATH...',
    summary: 'run the policy tests (kind PolicyTest) that lie beside the policies',
    load: async () => (await import('./test.ts')).test,
  },
  replay: {
    usage: 'replay FILE... [--through-sidecar]',
    summary: 'run recorded cases through the evaluator, or through a real sidecar',
    load: async () => (await import('./replay.ts')).replay,
  },
};

process.exitCode = await run(process.argv.slice(2), processIo());

async function run(args: string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    io.stdout.write(help());
    return name === undefined ? 2 : 0;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) {
    io.stderr.write(`selvage: unknown command "${name}"\n\n${help()}`);
    return 2;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    io.stdout.write(`Usage: selvage ${entry.usage}\n\n  ${entry.summary}\n`);
    return 0;
  }
  const command = await entry.load();
  return command(rest, io);
}

function help(): string {
  const rows = Object.values(commands).map((c) => `  ${c.usage.padEnd(74)}${c.summary}\n`);
  return `Usage: selvage COMMAND\n\n${rows.join('')}`;
}

// The subcommands of `selvage`: what each is for, what it takes, and where it is.
import type { Io } from './io.ts';

/** Runs with the arguments after its name; answers the process's exit status. */
type Command = (args: string[], io: Io) => Promise<number>;

interface CommandEntry {
  readonly usage: string;
  readonly summary: string;
  /** What it takes, each with what it does. */
  readonly options: readonly (readonly [option: string, meaning: string])[];
  /** Exit statuses, where they say more than 0 and 2. */
  readonly statuses: string;
  load(): Promise<Command>;
}

const output = ['--output text|json', 'for people (text), or for other programs'] as const;

export const commands: Readonly<Record<string, CommandEntry>> = {
  up: {
    usage: 'up DIR [OPTION]...',
    summary: 'run the whole mesh and the programs of a folder of YAML',
    options: [
      ['--send', "make the calls of the folder's PolicyTests for real, and print who decided"],
      ['--once', 'end after that instead of serving on'],
      ['--otlp URL', 'export traces there, OTLP over HTTP: http://127.0.0.1:4318'],
      ['--first-port N', 'the first of the ports that are used (21000)'],
    ],
    statuses: '0: ended as asked; 1: it did not start, or a sent call did not go as expected',
    load: async () => (await import('./up.ts')).up,
  },
  demo: {
    usage: 'demo [--once]',
    summary: 'run the shop example with real traffic, good and bad',
    options: [['--once', 'end after the table instead of serving on']],
    statuses: '0: all calls went as expected; 1: some did not',
    load: async () => (await import('./demo.ts')).demo,
  },
  check: {
    usage: 'check PATH... [OPTION]...',
    summary: 'find errors, loose ends and traps in YAML (- is stdin)',
    options: [output, ['--strict', 'warnings are errors']],
    statuses: '0: no errors; 1: errors',
    load: async () => (await import('./check.ts')).check,
  },
  inject: {
    usage: 'inject FILE... [OPTION]...',
    summary: 'add the sidecar to manifests, as a cluster does (- is stdin)',
    options: [
      ['-f FILE', 'one more file or folder of manifests'],
      ['--config FILE', "the ConfigMap of the cluster's injector"],
      ['--image IMAGE', 'image of the sidecar'],
      ['--namespace NS', 'of manifests that name none (default)'],
      ['--output yaml|json', 'with all comments (yaml), or as one JSON object'],
    ],
    statuses: '0: done; 1: a workload cannot have a sidecar, or is no YAML',
    load: async () => (await import('./inject.ts')).inject,
  },
  explain: {
    usage: 'explain --from NS/SA --to NS/WORKLOAD [OPTION]... PATH...',
    summary: 'whether a call is allowed, by which rule, or the nearest miss',
    options: [
      ['--from NS/SA', 'the service account that calls; a SPIFFE identity; none: plaintext'],
      ['--to NS/WORKLOAD', 'who is called'],
      ['--port N', "the workload's own port (its first)"],
      ['--method M', '(GET)'],
      ['--path P', 'with its query (/)'],
      ['--host H', "(the name of the workload's Service)"],
      ['--header NAME=VALUE', 'any number of them'],
      ['--token TOKEN', 'a JSON web token, or claims as JSON that count as signed'],
      ['--ip A', "the client's address (10.0.0.1)"],
      ['--tcp', 'bytes that are no HTTP'],
      ['--authorizer allow|deny', 'what external authorizers answer (deny)'],
      output,
    ],
    statuses: '0: allowed; 1: not',
    load: async () => (await import('./explain.ts')).explain,
  },
  test: {
    usage: 'test PATH...',
    summary: 'run the PolicyTests that lie beside the policies',
    options: [],
    statuses: '0: all passed; 1: some failed',
    load: async () => (await import('./test.ts')).test,
  },
  replay: {
    usage: 'replay FILE... [--through-sidecar]',
    summary: 'compare recorded decisions with ours',
    options: [['--through-sidecar', 'over real sockets through real sidecars']],
    statuses: '0: all as recorded; 1: differences',
    load: async () => (await import('./replay.ts')).replay,
  },
};

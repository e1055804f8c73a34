// The subcommands of `selvage`: what each is for, what it takes, and where it is.
import type { Io } from './io.ts';

/** Runs with the arguments after its name; answers the process's exit status. */
type Command = (args: string[], io: Io) => Promise<number>;

interface CommandEntry {
  readonly usage: string;
  readonly summary: string;
  /** What it takes, each with what it does. */
  readonly options: readonly (readonly [option: string, meaning: string])[];
  /** Exit statuses; 2 is wrong usage where nothing else is said of it. */
  readonly statuses: string;
  load(): Promise<Command>;
}

const output = ['--output text|json', 'for people (text), or for other programs'] as const;

const cluster = [
  ['--kubeconfig FILE', '(the files of KUBECONFIG, else ~/.kube/config)'],
  ['--context NAME', "(the kubeconfig's current-context)"],
] as const;

const mesh = [
  ['--mesh DIR|PID', 'a mesh of this machine (the one that runs, else a cluster)'],
  ...cluster,
] as const;

const unanswered = '2: wrong usage, or the cluster cannot be asked';

const unasked = '2: wrong usage, or the mesh cannot be asked';

const live = [['--live', 'the resources of a cluster, in place of files'], ...cluster] as const;

export const commands: Readonly<Record<string, CommandEntry>> = {
  up: {
    usage: 'up DIR [OPTION]...',
    summary: 'run the whole mesh and the programs of a folder of YAML',
    options: [
      ['--send', "make the calls of the folder's PolicyTests for real, and print who decided"],
      ['--once', 'end after that instead of serving on'],
      ['--otlp URL|off', 'export traces there, http:// or grpc:// (http://127.0.0.1:4318 if used)'],
      ['--first-port N', 'the first of the ports that are used (21000)'],
      ['--no-dashboard', 'without the web page'],
    ],
    statuses: '0: ended as asked; 1: it did not start, or a sent call did not go as expected',
    load: async () => (await import('./up.ts')).up,
  },
  demo: {
    usage: 'demo [OPTION]...',
    summary: 'run the shop example with real traffic, good and bad',
    options: [
      ['--once', 'end after the table instead of serving on'],
      ['--no-dashboard', 'without the web page'],
    ],
    statuses: '0: all calls went as expected; 1: some did not',
    load: async () => (await import('./demo.ts')).demo,
  },
  dashboard: {
    usage: 'dashboard [OPTION]...',
    summary: 'a web page of the mesh: graph, refusals, policies, traces',
    options: [
      ['--port N', 'on loopback (21900, or the next that is free)'],
      ['--mesh DIR|PID', 'a mesh of this machine, where several run'],
      ...cluster,
    ],
    statuses: `0: ended as asked; ${unanswered}`,
    load: async () => (await import('./dashboard.ts')).dashboard,
  },
  check: {
    usage: 'check PATH... [OPTION]...',
    summary: 'find errors, loose ends and traps in YAML (- is stdin)',
    options: [output, ['--strict', 'warnings are errors'], ...live],
    statuses: '0: no errors; 1: errors',
    load: async () => (await import('./check.ts')).check,
  },
  inject: {
    usage: 'inject FILE... [OPTION]...',
    summary: 'add the sidecar to manifests, as clusters do (- is stdin)',
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
    summary: 'where a call goes, whether it may, by which rule or why not',
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
      ['--destination-ip A', 'the address that is called (10.0.0.2)'],
      ['--sni NAME', 'server name of the TLS hello (what a sidecar sends)'],
      ['--tcp', 'bytes that are no HTTP'],
      ['--authorizer allow|deny', 'what external authorizers answer (deny)'],
      output,
      ['--live', "ask the callee's own sidecars, in place of files"],
      ...mesh,
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
  record: {
    usage: 'record NS/WORKLOAD [OPTION]...',
    summary: 'keep the calls of a workload in a file, without secrets',
    options: [
      ['-o, --output FILE', '(stdout)'],
      ['--for TIME', 'as 30s or 5m (until Ctrl-C)'],
      ['--limit N', 'so many calls (100000)'],
      ...mesh,
    ],
    statuses: '0: recorded; 2: wrong usage, or nothing can be listened to',
    load: async () => (await import('./record.ts')).record,
  },
  replay: {
    usage: 'replay FILE... --policies NEW [OPTION]... | replay FILE... [--through-sidecar]',
    summary: 'recorded calls that other policies would decide otherwise',
    options: [
      ['--policies NEW', 'files or a folder of YAML; FILE is what selvage record wrote'],
      ['--old OLD', 'the policies to compare with (what was recorded)'],
      output,
      ['--through-sidecar', 'recorded decisions of Envoy, over real sockets and sidecars'],
    ],
    statuses:
      '0: all as recorded; 1: differences; 2: wrong usage; 3: none, and calls that cannot be judged',
    load: async () => (await import('./replay.ts')).replay,
  },
  diff: {
    usage: 'diff OLD NEW [OPTION]...',
    summary: 'calls that two sets of policies decide otherwise, or none',
    options: [['--workload NS/WORKLOAD', '(all)'], output],
    statuses:
      '0: no call differs, which is proven; 1: some do; 2: wrong usage; 3: none was found, and it is not proven',
    load: async () => (await import('./diff.ts')).diff,
  },
  suggest: {
    usage: 'suggest FILE... | --live [NS/WORKLOAD] [OPTION]...',
    summary: 'AuthorizationPolicies that allow just what was observed',
    options: [
      ['--live', 'observe a mesh, in place of files that selvage record wrote'],
      ['-o, --output DIR', 'a file for each workload (stdout)'],
      ['--policies PATH', "YAML with the workloads' labels (those of the recording)"],
      ['--dry-run', 'annotate them, so that they are not enforced yet'],
      ['--for TIME', 'of --live, as 30s or 5m (until Ctrl-C)'],
      ['--limit N', 'of --live, so many calls (20000)'],
      ...mesh,
    ],
    statuses: `0: written; 1: nothing that a policy could allow; 2: wrong usage, or the mesh cannot be asked`,
    load: async () => (await import('./suggest.ts')).suggest,
  },
  'dry-run': {
    usage: 'dry-run [NS/WORKLOAD | policy NS/NAME] [OPTION]...',
    summary: 'calls that policies on trial would decide otherwise',
    options: [
      ['--for TIME', 'as 30s or 5m (until Ctrl-C)'],
      ['--limit N', 'so many calls'],
      ...mesh,
    ],
    statuses: `0: none of the calls would; 1: some would; 2: wrong usage, or the mesh cannot be asked`,
    load: async () => (await import('./dry-run.ts')).dryRun,
  },
  install: {
    usage: 'install [OPTION]...',
    summary: 'put the mesh into a cluster',
    options: [
      ['--print', 'the manifests, in place of applying them'],
      ['--overlay NAME', 'dev (one replica) or jaeger (traces)'],
      ['--image IMAGE', 'of all parts and of sidecars'],
      ['--replicas N', 'of each part (2)'],
      ['--wait', 'until all of it runs'],
      ['--timeout TIME', 'of --wait, as 90s or 2m (120s)'],
      ...cluster,
    ],
    statuses: `0: done; 1: not ready in time; ${unanswered}`,
    load: async () => (await import('./install.ts')).install,
  },
  uninstall: {
    usage: 'uninstall [OPTION]...',
    summary: 'take the mesh out of a cluster; CRDs and the namespace stay',
    options: [...cluster],
    statuses: `0: done; ${unanswered}`,
    load: async () => (await import('./uninstall.ts')).uninstall,
  },
  status: {
    usage: 'status [OPTION]...',
    summary: 'each sidecar of a cluster: what it enforces, since when',
    options: [
      ['-n, --namespace NS', '(all)'],
      ['-w, --watch', 'again and again, until it is interrupted'],
      ['--certificates', 'ask each sidecar when its certificate ends'],
      ['--ejections', 'ask each sidecar which endpoints it leaves out, and why'],
      output,
      ...cluster,
    ],
    statuses: `0: all are in sync and none is missing; 1: not so; ${unanswered}`,
    load: async () => (await import('./status.ts')).status,
  },
  why: {
    usage: 'why [ID] [OPTION]...',
    summary: 'what became of a call by its x-selvage-id, or the newest',
    options: [
      ['-n, --namespace NS', 'ask the sidecars of that one (all)'],
      ['--limit N', 'of the newest refusals and failures (20)'],
      output,
      ...mesh,
    ],
    statuses: `0: found; 1: no sidecar knows the id; ${unasked}`,
    load: async () => (await import('./why.ts')).why,
  },
  tap: {
    usage: 'tap NS/WORKLOAD [OPTION]...',
    summary: 'the calls of a workload as they happen',
    options: [
      ['--direction D', 'inbound or outbound (both)'],
      ['--method M', 'as GET'],
      ['--path P', 'exact, or the start of it: /api/*'],
      ['--status S', '403, or 4xx; 0: no answer'],
      ['--identity GLOB', 'of the other end: spiffe://*/ns/shop/*'],
      ['--limit N', 'end after so many (goes on until it is interrupted)'],
      output,
      ...mesh,
    ],
    statuses: `0: ended as asked; 1: the sidecars ended; ${unasked}`,
    load: async () => (await import('./tap.ts')).tap,
  },
  top: {
    usage: 'top [NS[/WORKLOAD]] [OPTION]...',
    summary: 'the routes that are called now: how often, how fast',
    options: [
      ['--once', 'one table in place of one that goes on'],
      ['--seconds N', 'how long that one watches (10)'],
      output,
      ...mesh,
    ],
    statuses: `0: done; ${unasked}`,
    load: async () => (await import('./top.ts')).top,
  },
  edges: {
    usage: 'edges [OPTION]...',
    summary: 'who calls whom: how secured, how often, with what success',
    options: [
      ['-n, --namespace NS', 'ask the sidecars of that one (all)'],
      ['--seconds N', 'how long it watches (2)'],
      ['--total', 'all since the sidecars started, in place of watching'],
      output,
      ...mesh,
    ],
    statuses: `0: done; ${unasked}`,
    load: async () => (await import('./edges.ts')).edges,
  },
  wait: {
    usage: 'wait KIND/NAME [OPTION]...',
    summary: 'until every sidecar enforces a resource as it is now',
    options: [
      ['-n, --namespace NS', "(the context's)"],
      ['--timeout TIME', 'as 90s or 2m (60s)'],
      ...cluster,
    ],
    statuses: `0: all enforce it, also when that is 0 of 0; 1: not in time; ${unanswered}`,
    load: async () => (await import('./wait.ts')).wait,
  },
  doctor: {
    usage: 'doctor [OPTION]...',
    summary: 'what is wrong with the mesh of a cluster, and what to do',
    options: [output, ...cluster],
    statuses: `0: no problem; 1: problems; ${unanswered}`,
    load: async () => (await import('./doctor.ts')).doctor,
  },
};

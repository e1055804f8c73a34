// What a person can try by hand, as lines that work when they are pasted.
import type { PolicyTestSpec } from '#api/kinds/policy-test.ts';

import type { LocalPod } from './plan.ts';
import type { ServiceName } from './scenario.ts';

export interface NamedService extends ServiceName {
  /** The pod behind it. */
  readonly pod: LocalPod;
  /** It carries bytes, not HTTP. */
  readonly isTcp: boolean;
}

type TestCall = PolicyTestSpec['calls'][number];

/** Calls of each expectation that are shown; more would bury the rest. */
const callsShown = 2;
const callersShown = 4;

/**
 * curl lines for calls that the folder's PolicyTests expect to pass and to fail, or for each caller where there are no
 * tests; and where to look further.
 * @param refusedId of a call that was refused just now; '' without one
 * @param dashboard the address of its web page; '' without one
 */
export function welcome(
  pods: readonly LocalPod[],
  services: readonly NamedService[],
  calls: readonly TestCall[],
  folder: string,
  refusedId = '',
  dashboard = '',
): string {
  const tests = calls.filter((call) => call.tokenFrom === undefined && call.tcp !== true);
  const shown = ['allow', 'deny', 'closed'].flatMap((expect) =>
    tests.filter((call) => call.expect === expect).slice(0, callsShown),
  );
  const tries =
    shown.length > 0
      ? shown.flatMap((call) => testLines(call, pods, services))
      : callersOf(pods).flatMap((pod) => callerLines(pod, services));
  const width = Math.max(...pods.map(({ title }) => title.length)) + 2;
  const sidecars = pods.flatMap((pod) =>
    pod.sidecar === null
      ? []
      : [`  ${pod.title.padEnd(width)} http://127.0.0.1:${pod.sidecar.admin}/help`],
  );
  return [
    '',
    'The mesh is up. Try:',
    ...tries,
    '',
    ...(dashboard === '' ? [] : ['See it in a browser:', `  ${dashboard}`, '']),
    'What each sidecar enforces, counts and logs:',
    ...sidecars,
    ...questions(pods, refusedId),
    '',
    `Edit the YAML in ${folder} and see what changes. Ctrl-C ends it.`,
    '',
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function questions(pods: readonly LocalPod[], refusedId: string): string[] {
  const meshed = pods.filter(({ sidecar }) => sidecar !== null);
  // The last one is called by others, where any is.
  const called = meshed.at(-1);
  if (called === undefined) return [];
  const rows = [
    [`selvage why ${refusedId}`.trimEnd(), refusedId === '' ? 'what was refused' : 'tells more'],
    ['selvage edges', 'who calls whom'],
    [`selvage tap ${called.namespace}/${called.workload}`, 'calls as they happen'],
  ] as const;
  const width = Math.max(...rows.map(([command]) => command.length)) + 1;
  const lines = rows.map(([command, what]) => `  ${command.padEnd(width)} # ${what}`);
  return ['', 'Ask the mesh, from another terminal:', ...lines];
}

function testLines(
  call: TestCall,
  pods: readonly LocalPod[],
  services: readonly NamedService[],
): string[] {
  const { from, to, method = 'GET', path = '/', expect } = call;
  const service = services.find(({ pod }) => `${pod.namespace}/${pod.workload}` === to);
  const caller = pods.find((pod) => `${pod.namespace}/${pod.serviceAccount}` === from);
  if (service === undefined) return [];
  const verb = method === 'GET' ? '' : ` -X ${method}`;
  const title = `  # ${call.name ?? `${method} ${path}`} (${expect})`;
  if (from === 'none') {
    const listen = service.pod.ports[0]?.listen ?? 0;
    return [title, `  curl -i --path-as-is${verb} 'http://127.0.0.1:${listen}${path}'`];
  }
  if (caller?.sidecar == null) return [];
  const proxy = `--proxy http://127.0.0.1:${caller.sidecar.outbound}`;
  const url = `'http://${service.host}:${service.port}${path}'`;
  return [title, `  curl -i --path-as-is${verb} ${proxy} ${url}`];
}

/** One pod of each identity; more would only repeat the lines. */
function callersOf(pods: readonly LocalPod[]): LocalPod[] {
  const byIdentity = Map.groupBy(
    pods.filter(({ sidecar }) => sidecar !== null),
    ({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`,
  );
  return [...byIdentity.values()].flatMap(([first]) => first ?? []).slice(0, callersShown);
}

/** One call of each caller to another service. */
function callerLines(pod: LocalPod, services: readonly NamedService[]): string[] {
  const other = services.find((service) => service.pod.workload !== pod.workload) ?? services[0];
  if (pod.sidecar === null || other === undefined) return [];
  const proxy = `--proxy http://127.0.0.1:${pod.sidecar.outbound}`;
  const title = `  # as ${pod.namespace}/${pod.serviceAccount}`;
  // curl opens a plain stream for a telnet URL, through CONNECT.
  if (other.isTcp) return [title, `  curl -p ${proxy} telnet://${other.host}:${other.port}`];
  return [title, `  curl -i ${proxy} http://${other.host}:${other.port}/`];
}

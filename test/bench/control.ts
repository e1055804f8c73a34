// From an edited file to 1,000 sidecars that put the change in force, on one machine; and what control's memory is then.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { startTestCa } from '../ca/fixture.ts';
import type { Applied, Fleet } from './control-fleet.ts';

const sidecars = Number(process.argv[2] ?? 1000);
const namespaces = 20;
const rounds = 10;
const budgetMs = 1000;

const folder = await mkdtemp(join(tmpdir(), 'selvage-bench-'));
const ca = await startTestCa();
const children: ChildProcess[] = [];
try {
  await writeMesh();
  const control = await startControl();
  const idleMb = residentMb(control.pid);
  const fleet = await startFleet(control.port);
  const connectedMb = residentMb(control.pid);
  const lines: string[] = [];
  let worstMs = 0;
  for (const [name, expected, edit] of edits()) {
    const latencies: number[] = [];
    const cpuBefore = cpuMs(control.pid);
    for (let round = 1; round <= rounds; round++) {
      const startedAtMs = Date.now();
      await edit(round);
      const times = await fleet.collect(expected);
      latencies.push(...times.map((atMs) => atMs - startedAtMs));
    }
    const cpu = (cpuMs(control.pid) - cpuBefore) / rounds;
    latencies.sort((a, b) => a - b);
    const at = (part: number): number => latencies[Math.ceil(latencies.length * part) - 1] ?? 0;
    worstMs = Math.max(worstMs, at(0.99));
    lines.push(
      `  ${name.padEnd(34)} ${expected} sidecars  p50 ${at(0.5)}  p99 ${at(0.99)}  max ${at(1)} ms  control's CPU ${cpu.toFixed(0)} ms`,
    );
  }
  const afterMb = residentMb(control.pid);
  process.stdout.write(
    `${[
      `from the write of a file to the snapshot in force, ${sidecars} sidecars (100 ms of it are the debounce)`,
      ...lines,
      `  all connected and served after ${fleet.connectedMs} ms`,
      `  control's resident memory: ${idleMb} MB idle, ${connectedMb} MB with all connected, ${afterMb} MB after`,
      `  budget p99 ${budgetMs} ms: ${worstMs <= budgetMs ? 'kept' : 'MISSED'}`,
    ].join('\n')}\n`,
  );
  if (worstMs > budgetMs) process.exitCode = 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  await ca.close();
  rmSync(folder, { recursive: true });
}

/** Every sidecar is a workload of its own: nothing is shared that a real mesh would not share. */
async function writeMesh(): Promise<void> {
  await mkdir(join(folder, 'mesh'));
  await writeFile(join(folder, 'bundle.pem'), await ca.bundle());
  const sub = 'system:serviceaccount:selvage-system:selvage-control';
  await writeFile(join(folder, 'token'), await ca.tokens.make({ sub }));
  for (let n = 0; n < namespaces; n++) {
    const own = Array.from({ length: sidecars / namespaces }, (_, i) => i);
    await write(`deployments-${n}`, own.map((i) => deployment(n, i)).join('---\n'));
    await write(
      `policies-${n}`,
      own.map((i) => policy(`ns-${n}`, `allow-${i}`, `app-${i}`, '/')).join('---\n'),
    );
    for (const i of own) await write(`pod-${n}-${i}`, pod(n, i, 34_000));
  }
  await write('root', policy('istio-system', 'everywhere', null, '/0'));
}

function edits(): [name: string, expected: number, edit: (round: number) => Promise<void>][] {
  return [
    ['policy of one workload', 1, (r) => write('one', policy('ns-0', 'one', 'app-0', `/${r}`))],
    [
      'policy of one namespace',
      sidecars / namespaces,
      (r) => write('some', policy('ns-1', 'some', null, `/${r}`)),
    ],
    [
      'policy of the whole mesh',
      sidecars,
      (r) => write('root', policy('istio-system', 'everywhere', null, `/${r}`)),
    ],
    ['one endpoint moves', sidecars, (r) => write('pod-2-0', pod(2, 0, 35_000 + r))],
  ];
}

function write(name: string, text: string): Promise<void> {
  return writeFile(join(folder, 'mesh', `${name}.yaml`), text);
}

function deployment(n: number, i: number): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: app-${i}, namespace: ns-${n}, annotations: { inject: "true" } }
spec: { template: { metadata: { labels: { app: app-${i} } }, spec: { serviceAccountName: app } } }
---
apiVersion: v1
kind: Service
metadata: { name: app-${i}, namespace: ns-${n} }
spec: { selector: { app: app-${i} }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`;
}

function pod(n: number, i: number, port: number): string {
  return `apiVersion: v1
kind: Pod
metadata:
  name: app-${i}-0
  namespace: ns-${n}
  labels: { app: app-${i} }
  annotations: { inject: "true", selvage.dev/workload: app-${i}, selvage.dev/local-ports: '{"8080":${port}}' }
spec: { serviceAccountName: app }
status: { podIP: 10.${n}.0.${i % 250} }
`;
}

function policy(namespace: string, name: string, app: string | null, path: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  ${app === null ? '' : `selector: { matchLabels: { app: ${app} } }`}
  rules:
    - from: [{ source: { principals: ["cluster.local/ns/ns-1/sa/app"] } }]
      to: [{ operation: { methods: [GET, POST], paths: ["${path}"] } }]
`;
}

async function startControl(): Promise<{ pid: number; port: number }> {
  const child = spawn(process.execPath, ['control/main.ts'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      SELVAGE_CONTROL_LISTEN: '127.0.0.1:0',
      SELVAGE_CONTROL_ADMIN: '127.0.0.1:0',
      SELVAGE_RESOURCES: join(folder, 'mesh'),
      SELVAGE_CA: `https://127.0.0.1:${ca.ca.port}`,
      SELVAGE_TOKEN_FILE: join(folder, 'token'),
      SELVAGE_TRUST_BUNDLE_FILE: join(folder, 'bundle.pem'),
    },
  });
  children.push(child);
  const { promise, resolve } = Promise.withResolvers<number>();
  createInterface(child.stdout).on('line', (line) => {
    if (line.includes('control ready')) resolve((JSON.parse(line) as { port: number }).port);
  });
  return { pid: child.pid ?? 0, port: await promise };
}

interface RunningFleet {
  readonly connectedMs: number;
  /** Date.now() of each application since the last call; waits until there are as many as expected. */
  collect(expected: number): Promise<number[]>;
}

async function startFleet(port: number): Promise<RunningFleet> {
  const credentials: Fleet['credentials'] = [];
  const { createKeyAndCsr } = await import('#runtime/tls/csr.ts');
  for (let n = 0; n < namespaces; n++) {
    const { keyPem, csrPem } = createKeyAndCsr();
    const token = await ca.tokens.make({ sub: `system:serviceaccount:ns-${n}:app` });
    const { body } = await ca.sign({ csr: csrPem, token });
    credentials.push({ key: keyPem, cert: body.chain, ca: body.trustBundle });
  }
  const child = fork(join(import.meta.dirname, 'control-fleet.ts'));
  children.push(child);
  let times: number[] = [];
  child.on('message', (message: Applied) => times.push(...message.times));
  const collect = async (expected: number): Promise<number[]> => {
    for (let waited = 0; times.length < expected && waited < 60_000; waited += 10) await sleep(10);
    await sleep(50);
    const collected = times;
    times = [];
    if (collected.length !== expected) {
      process.stdout.write(`  (${collected.length} applications, not ${expected})\n`);
    }
    return collected;
  };
  await once(child, 'spawn');
  const startedAtMs = Date.now();
  child.send({ port, credentials, perNamespace: sidecars / namespaces } satisfies Fleet);
  const first = await collect(sidecars);
  return { connectedMs: Math.max(...first) - startedAtMs, collect };
}

function residentMb(pid: number): number {
  const match = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(match?.[1] ?? 0) / 1024);
}

/** User and system time of a process, ms; fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

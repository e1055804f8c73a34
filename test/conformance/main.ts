// `npm run conformance`: the Gateway API's own tests of meshes, against a cluster; Selvage is installed where it is missing.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { chmod, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { notYet } from './not-yet.ts';
import { type Outcome, readOutcomes } from './outcomes.ts';

const usage = `npm run conformance -- [flags of the suite]
  KUBECONFIG=FILE   the cluster; its nodes pull the suite's images
  KUBE=FOLDER       a kube lab in its place, which is up; the images are built here
  Selvage is installed where it is missing: this one in a lab, its release elsewhere.
  -run-test NAME    one test; -debug: bodies too; -report-output FILE: the report for the Gateway API project
  The exit status is 1 when a test fails that test/conformance/not-yet.ts does not name, or passes that it names.`;

const here = import.meta.dirname;
const root = join(here, '../..');
const lab = process.env['KUBE'];
/** As its manifests name it. */
const echoImage = 'registry.k8s.io/gateway-api/echo-advanced:v1.5.1';
const seconds = 60;
const rollout = ['-n', 'selvage-system', 'rollout', 'status', `--timeout=${seconds}s`];

if (process.argv.includes('--help')) {
  console.log(usage);
} else if (lab === undefined && !existsSync(process.env['KUBECONFIG'] ?? '')) {
  console.error(`neither KUBECONFIG nor KUBE names a cluster\n${usage}`);
  process.exitCode = 2;
} else {
  process.exitCode = await main(process.argv.slice(2));
}

async function main(flags: readonly string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-conformance-'));
  const program = join(folder, 'mesh.test');
  // Compiled first: the module proxy cannot be reached from a lab's network.
  run('go', ['test', '-c', '-o', program, '.'], here);
  const modules = run('go', ['list', '-m', '-f', '{{.Dir}}', 'sigs.k8s.io/gateway-api'], here);
  if (lab !== undefined) await makeEchoImage(join(folder, 'echo'));
  installKinds(modules.trim());
  installSelvage();
  const log = join(folder, 'log');
  const lines = await runSuite(program, flags, log);
  const outcomes = readOutcomes(lines);
  return report(outcomes, flags.includes('-run-test')) ? 0 : fail(log);
}

function fail(log: string): number {
  console.log(`the suite's own log: ${log}`);
  return 1;
}

/** Istio's echo server and client, as the suite's image has them, from their sources. */
async function makeEchoImage(folder: string): Promise<void> {
  const bin = join(folder, 'usr/local/bin');
  mkdirSync(bin, { recursive: true });
  const flags = ['-trimpath', '-ldflags', '-s -w'];
  run('go', ['build', ...flags, '-o', `${bin}/`, 'tool'], join(here, 'echo'), { CGO_ENABLED: '0' });
  const [key, crt] = [join(folder, 'key'), join(folder, 'crt')];
  const subject = ['-subj', '/CN=echo', '-addext', 'subjectAltName=DNS:echo'];
  const out = ['-nodes', '-keyout', key, '-out', crt, '-days', '3650'];
  run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', ...out, ...subject]);
  // The server runs as another user.
  await chmod(key, 0o644);
  await rename(key, join(folder, 'cert.key'));
  await rename(crt, join(folder, 'cert.crt'));
  const entry = ['--entrypoint', '["/usr/local/bin/server"]', '--user', '1338'];
  run(`${lab}/image`, [echoImage, folder, ...entry]);
}

/** Where the cluster has the Gateway API already, it is tested with what it has. */
function installKinds(modules: string): void {
  const crds = kubectl(['get', 'crd', '-o', 'name']);
  if (crds.includes('/httproutes.gateway.networking.k8s.io')) return;
  kubectl(['apply', '--server-side', '-f', join(modules, 'config/crd/standard')]);
  kubectl(['wait', '--for=condition=Established', 'crd', '--all', `--timeout=${seconds}s`]);
}

/** What is installed already is what is tested. */
function installSelvage(): void {
  if (
    kubectl(['get', 'namespace', '-o', 'name']).split('\n').includes('namespace/selvage-system')
  ) {
    kubectl([...rollout, 'deployment/selvage-control']);
    return;
  }
  console.log('installing Selvage, which is not in the cluster');
  if (lab !== undefined) run('npm', ['run', '-s', 'image'], root, { KUBE: lab });
  const overlay = lab === undefined ? [] : ['--overlay', 'dev'];
  const install = [process.execPath, 'cli/main.ts', 'install', '--wait', ...overlay];
  const [command = '', ...rest] = [...inLab(), ...install];
  process.stdout.write(run(command, rest, root));
}

/** Runs the tests that wait side by side: most of them wait for what a failing case never does. */
async function runSuite(
  program: string,
  flags: readonly string[],
  log: string,
): Promise<readonly string[]> {
  const suite = ['-test.v=test2json', '-test.run', 'TestMesh', '-test.parallel', '16'];
  const command = [...inLab(), program, ...suite, '-test.timeout', '60m', ...flags];
  const tests = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  const events = spawn('go', ['tool', 'test2json', '-t'], { stdio: ['pipe', 'pipe', 'inherit'] });
  tests.stdout.pipe(events.stdin);
  tests.stdout.pipe(createWriteStream(log));
  const lines: string[] = [];
  for await (const line of createInterface({ input: events.stdout })) {
    lines.push(line);
    const [ended] = readOutcomes(/"Action":"(pass|fail|skip)"/.test(line) ? [line] : []);
    if (ended !== undefined) console.log(`${ended.result.padEnd(8)}${ended.name}`);
  }
  if (tests.exitCode === null) await once(tests, 'exit');
  return lines;
}

/** Prints each test and the sum. @returns whether all went as this version should */
function report(outcomes: readonly Outcome[], oneOnly: boolean): boolean {
  const wrong: string[] = [];
  console.log('');
  for (const { name, result, reason, cases, failedCases } of outcomes) {
    if (oneOnly && result === 'skipped') continue;
    const why = notYet.get(name);
    const part = result === 'failed' ? `  ${failedCases} of ${cases} cases: ${reason}` : '';
    console.log(`${result.padEnd(8)}${name}${part}`);
    if (result === 'failed' && why !== undefined) console.log(`        not yet: ${why}`);
    if (result === 'skipped') wrong.push(`${name} was skipped`);
    else if (result === 'failed' && why === undefined) wrong.push(`${name} failed`);
    else if (result === 'passed' && why !== undefined) wrong.push(`${name} passes now`);
  }
  const count = (wanted: string): number =>
    outcomes.filter(({ result }) => result === wanted).length;
  if (outcomes.length === 0) wrong.push('the suite did not come to its tests');
  console.log(`\n${['passed', 'failed', 'skipped'].map((r) => `${count(r)} ${r}`).join(', ')}`);
  for (const line of wrong) console.log(`not as test/conformance/not-yet.ts says: ${line}`);
  return wrong.length === 0;
}

function kubectl(args: readonly string[]): string {
  const [command = '', ...rest] = [...inLab(), 'kubectl', ...args];
  return run(command, rest);
}

/** What stands before a command that needs the cluster's network. */
function inLab(): string[] {
  return lab === undefined ? [] : [join(lab, 'exec')];
}

/** @throws Error with what the command said */
function run(command: string, args: readonly string[], cwd = here, env: object = {}): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}

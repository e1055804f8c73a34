// How many certificates the CA signs per second of one core: the signing alone, and over HTTPS with this process as caller.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { planLeaf } from '#ca/authority.ts';
import { parseCsr } from '#ca/csr.ts';
import { createSelfSignedIssuer } from '#ca/issuer.ts';
import { signLeaf } from '#ca/leaf.ts';
import { createKeyAndCsr } from '#runtime/tls/csr.ts';
import { environment, temporaryFolder } from '../ca/fixture.ts';
import { createTokenMaker } from '../ca/tokens.ts';

const certificates = 3000;
const budgetPerSecond = 500;

const alone = await measureSigning();
const served = await measureServed();
process.stdout.write(
  `${[
    'certificates per second of one core',
    `  parse, check, sign:            ${alone.toFixed(0)}`,
    `  over HTTPS, token and audit:   ${served.perSecond.toFixed(0)}`,
    `  p99 of a call, 16 at a time:   ${served.p99Ms.toFixed(1)} ms`,
    `  resident memory after:         ${served.residentMb.toFixed(0)} MB`,
    `  budget ${budgetPerSecond}: ${served.perSecond >= budgetPerSecond ? 'kept' : 'MISSED'}`,
  ].join('\n')}\n`,
);
if (served.perSecond < budgetPerSecond) process.exitCode = 1;

async function measureSigning(): Promise<number> {
  const now = Date.now();
  const issuer = await createSelfSignedIssuer('cluster.local', 1e10, now);
  const requests = Array.from({ length: 100 }, () => createKeyAndCsr().csrPem);
  const caller = { namespace: 'shop', serviceAccount: 'orders', pod: '', podUid: '' };
  const policy = { trustDomain: 'cluster.local', lifeSecondsMax: 86_400, servingNames: new Map() };
  const signOne = (index: number): void => {
    const csr = parseCsr(requests[index % requests.length] ?? '');
    signLeaf(issuer, planLeaf(caller, csr, undefined, policy, issuer, now));
  };
  for (let i = 0; i < 500; i += 1) signOne(i);
  const start = process.cpuUsage();
  for (let i = 0; i < certificates; i += 1) signOne(i);
  const { user, system } = process.cpuUsage(start);
  return (certificates * 1e6) / (user + system);
}

/** Counts the CPU time of the CA's process alone, from its own metrics. */
async function measureServed(): Promise<{ perSecond: number; p99Ms: number; residentMb: number }> {
  const folder = temporaryFolder();
  const tokens = await createTokenMaker();
  await tokens.writeJwks(join(folder, 'jwks.json'));
  const rate = '1000000/1000000';
  const env = environment(folder, {
    SELVAGE_CA_RATE: rate,
    SELVAGE_CA_RATE_PER_IDENTITY: rate,
  });
  const child = spawn(process.execPath, ['ca/main.ts'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const { port, adminPort } = await readiness(child.stdout);
    const ca = readFileSync(join(folder, 'state', 'trust-bundle.pem'), 'utf8');
    const session = connect(`https://localhost:${port}`, { ca });
    // Before the settings arrive a caller does not know how many streams it may open.
    await once(session, 'remoteSettings');
    const bearer = await tokens.make();
    const bodies = Array.from({ length: 100 }, () =>
      JSON.stringify({ csr: createKeyAndCsr().csrPem }),
    );
    const body = (index: number): string => bodies[index % bodies.length] ?? '';
    await inParallel(500, (index) => call(session, bearer, body(index)));
    const before = await cpuSeconds(adminPort);
    const times = await inParallel(certificates, (index) => call(session, bearer, body(index)));
    const after = await cpuSeconds(adminPort);
    session.close();
    times.sort((a, b) => a - b);
    return {
      perSecond: certificates / (after.cpu - before.cpu),
      p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
      residentMb: after.resident / 1e6,
    };
  } finally {
    child.kill('SIGTERM');
    await once(child, 'exit');
    rmSync(folder, { recursive: true });
  }
}

async function readiness(
  output: NodeJS.ReadableStream,
): Promise<{ port: number; adminPort: number }> {
  for await (const line of createInterface(output)) {
    if (line.includes('ca ready')) {
      output.resume();
      return JSON.parse(line) as { port: number; adminPort: number };
    }
  }
  throw new Error('the CA did not start');
}

/** Sixteen at a time; the time of each call in ms. */
async function inParallel(count: number, run: (index: number) => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const start = performance.now();
      await run(next++);
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return times;
}

function call(session: ClientHttp2Session, bearer: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/v1/certificates',
      authorization: `Bearer ${bearer}`,
    });
    stream.on('response', (headers) => {
      if (headers[':status'] !== 200) reject(new Error(`status ${headers[':status']}`));
    });
    stream.on('end', resolve);
    stream.on('error', reject);
    stream.resume();
    stream.end(body);
  });
}

async function cpuSeconds(adminPort: number): Promise<{ cpu: number; resident: number }> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/stats/prometheus`)).text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
  return {
    cpu: value('process_cpu_seconds_total'),
    resident: value('process_resident_memory_bytes'),
  };
}

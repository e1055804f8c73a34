// Admin endpoints in pods: what is run there, what it does, and how many at a time.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';

import { podOf } from '#cli/cluster/pods.ts';
import { RefusedAnswer } from '#cli/sidecars/answer.ts';
import { sidecarInPod, turnsOf } from '#cli/sidecars/in-pod.ts';
import { clusterSidecars } from '#cli/sidecars/open.ts';
import { FakeCluster, meshed } from '#test/cli/cluster/fake-cluster.ts';

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await FakeCluster.start();
});
afterEach(() => cluster.stop());

const pod = podOf({ metadata: { name: 'web-1', namespace: 'shop' } });
const now = turnsOf(1);

test('the pods with a sidecar that runs are listed, of one namespace or of all', async () => {
  cluster.pod({ name: 'web-1', namespace: 'shop' }, meshed());
  cluster.pod({ name: 'plain', namespace: 'shop' });
  cluster.pod({ name: 'starting', namespace: 'shop' }, meshed(), []);
  cluster.pod({ name: 'pay-1', namespace: 'money' }, meshed());
  const sidecars = clusterSidecars(cluster);
  expect(sidecars.title).toBe(`the cluster at ${cluster.server}`);
  expect((await sidecars.list()).map((one) => one.pod).toSorted()).toEqual(['pay-1', 'web-1']);
  expect(await sidecars.list('money')).toMatchObject([{ pod: 'pay-1', workload: 'pay-1' }]);
});

test('path and body are arguments of the program, whatever they hold', async () => {
  cluster.exec = async (target) => {
    cluster.ran.push(target);
    return { stdout: '{"ok":true}', stderr: '', status: 0 };
  };
  const web = sidecarInPod(cluster, pod, now);
  expect(await web.ask(`/why?id=');process.exit()`)).toEqual({ ok: true });
  await web.post('/explain', { path: `'` });
  const [asked, posted] = cluster.ran;
  expect(asked).toMatchObject({ namespace: 'shop', pod: 'web-1', container: 'selvage-proxy' });
  expect(asked?.command[2]).toBe(posted?.command[2]);
  expect(asked?.command.slice(3)).toEqual([`/why?id=');process.exit()`, 'get']);
  expect(posted?.command.slice(3)).toEqual(['/explain', 'post', `{"path":"'"}`]);
});

test('a refusal of the sidecar is told apart from a program that failed', async () => {
  const web = sidecarInPod(cluster, pod, now);
  const ends = (status: number, stderr: string): void => {
    cluster.exec = async () => ({ stdout: '', stderr, status });
  };
  ends(3, '404 {"error":"none of that"}');
  const error: unknown = await web.ask('/why').catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RefusedAnswer);
  expect(String(error)).toMatch('the sidecar of shop/web-1 answers 404: none of that');
  ends(5, 'Error: connect ECONNREFUSED');
  await expect(web.ask('/why')).rejects.toThrow('does not answer: Error: connect ECONNREFUSED');
});

test('a stream is cut into lines', async () => {
  cluster.stream = () => '\n{"n":1}\n{"n":2}';
  const lines: unknown[] = [];
  const web = sidecarInPod(cluster, pod, now);
  const opened = vi.fn<() => void>();
  await web.follow('/tap', (line) => lines.push(line), new AbortController().signal, opened);
  expect(lines).toEqual([{ n: 1 }, { n: 2 }]);
  expect(opened).toHaveBeenCalledOnce();
  expect(cluster.ran[0]?.command.slice(3)).toEqual(['/tap', 'follow']);
});

test('no more run at a time than there are turns, and all of them do', async () => {
  const turns = turnsOf(3);
  let running = 0;
  let most = 0;
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      turns(async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return i;
      }),
    ),
  );
  expect(most).toBe(3);
  expect(results).toHaveLength(20);
  await expect(turns(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await turns(async () => 1)).toBe(1);
});

const admin = createServer((request, response) => {
  let body = '';
  request.on('data', (part: Buffer) => (body += part.toString()));
  request.on('end', () => {
    if (request.url === '/missing') response.writeHead(404).end('{"error":"no"}');
    else if (request.url === '/tap') response.write('{"n":1}\n');
    else response.end(JSON.stringify({ url: request.url, method: request.method, body }));
  });
});
beforeAll(async () => {
  admin.listen(0, '127.0.0.1');
  await once(admin, 'listening');
});
afterAll(() => {
  admin.closeAllConnections();
  admin.close();
});

/** Runs what would run in the pod, against the admin endpoint of this test. */
async function start(path: string, ...rest: string[]): Promise<ChildProcess> {
  await sidecarInPod(cluster, pod, now)
    .ask('/')
    .catch(() => undefined);
  const { port } = admin.address() as AddressInfo;
  const program = (cluster.ran[0]?.command[2] ?? '').replace('port:15000', `port:${port}`);
  return spawn(process.execPath, ['-e', program, path, ...rest], { stdio: 'pipe' });
}

async function outcomeOf(child: ChildProcess): Promise<unknown[]> {
  const [out, err, [status]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'exit'),
  ]);
  return [status, out, err];
}

test('the program asks, posts, and tells refusals by its status', async () => {
  const asked = '{"url":"/why?id=\'","method":"GET","body":""}';
  expect(await outcomeOf(await start(`/why?id='`, 'get'))).toEqual([0, asked, '']);
  const posted = '{"url":"/explain","method":"POST","body":"{}"}';
  expect(await outcomeOf(await start('/explain', 'post', '{}'))).toEqual([0, posted, '']);
  expect(await outcomeOf(await start('/missing', 'get'))).toEqual([3, '', '404 {"error":"no"}']);
  expect(await outcomeOf(await start('/missing', 'follow'))).toEqual([3, '', '404 {"error":"no"}']);
});

test('a program that follows ends with its stdin', async () => {
  const child = await start('/tap', 'follow');
  let said = '';
  // The empty line says that it answers.
  while (said.length < 9) said += String((await once(child.stdout!, 'data'))[0]);
  expect(said).toBe('\n{"n":1}\n');
  child.stdin?.end();
  expect((await once(child, 'exit'))[0]).toBe(0);
});

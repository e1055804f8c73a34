// Admin endpoints of sidecars in a cluster: they listen on loopback, so a program in the pod asks for us, and whoever may run
// that (pods/exec) may know.
import { ports, proxyName } from '#api/injection/names.ts';
import type { ExecTarget } from '#runtime/kubernetes/exec.ts';
import { KubeError } from '#runtime/kubernetes/kube-error.ts';

import type { Cluster } from '../cluster/cluster.ts';
import type { LivePod } from '../cluster/pods.ts';
import { answerTimeoutMs, JsonLines, parseAnswer, RefusedAnswer } from './answer.ts';
import type { AskableSidecar } from './source.ts';

/**
 * Path and body are arguments and no part of the program, so nothing in them can be read as one. What is not 200 goes to
 * stderr, with the status before it. With `follow` an empty line says that it answers, and it ends when nobody has written to its
 * stdin for a while: a connection that is cut does not always end a command, and it would stay in the pod.
 */
const program =
  `const [,path,how,body='']=process.argv;` +
  `const options={host:'127.0.0.1',port:${ports.admin},path,method:how==='post'?'POST':'GET',` +
  `headers:{'content-type':'application/json','content-length':Buffer.byteLength(body)}};` +
  `const call=require('node:http').request(options,(reply)=>{` +
  `const ok=reply.statusCode===200;if(ok&&how==='follow')process.stdout.write('\\n');` +
  `if(!ok){process.exitCode=3;process.stderr.write(reply.statusCode+' ')}` +
  `reply.on('end',()=>{process.stdin.destroy();clearTimeout(timer)});` +
  `reply.pipe(ok?process.stdout:process.stderr)});` +
  `call.on('error',(e)=>{process.stderr.write(String(e));process.exit(5)});` +
  `let timer;if(how==='follow'){const end=()=>process.exit(0);` +
  `const wait=()=>{clearTimeout(timer);timer=setTimeout(end,30000)};wait();` +
  `process.stdin.on('data',wait).on('end',end).on('error',end);process.stdout.on('error',end)}` +
  `call.end(body)`;

/** Of what `program` says on stderr. */
const refusal = /^(\d{3}) (.*)$/s;

/** Runs at most so many at a time, the others wait for their turn. */
export type Turns = <T>(run: () => Promise<T>) => Promise<T>;

export function sidecarInPod(cluster: Cluster, pod: LivePod, turns: Turns): AskableSidecar {
  const { namespace, name } = pod;
  const from = `${namespace}/${name}`;
  const target = (...args: readonly string[]): ExecTarget => ({
    namespace,
    pod: name,
    container: proxyName,
    command: ['node', '-e', program, ...args],
  });
  const ask = (...args: readonly string[]): Promise<unknown> =>
    turns(async () => {
      const ran = cluster.exec(target(...args), { timeoutMs: answerTimeoutMs });
      const { status, stdout, stderr } = await ran.catch((error: unknown) => {
        // What the API server says names the pod by itself.
        if (error instanceof KubeError || !(error instanceof Error)) throw error;
        throw new Error(`the sidecar of ${from} does not answer: ${error.message}`, {
          cause: error,
        });
      });
      if (status !== 0) throw failureOf(from, status, stderr);
      return parseAnswer(from, stdout);
    });
  return {
    namespace,
    workload: pod.workload.name,
    pod: name,
    ask: (path) => ask(path, 'get'),
    post: (path, body) => ask(path, 'post', JSON.stringify(body)),
    follow: async (path, onLine, signal, onOpen) => {
      const lines = new JsonLines(onLine);
      let isOpen = false;
      const ended = await cluster.follow(
        target(path, 'follow'),
        (text) => {
          if (!isOpen) onOpen?.();
          isOpen = true;
          lines.take(text);
        },
        signal,
      );
      if (ended === null) return;
      if (ended.status !== 0) throw failureOf(from, ended.status, ended.stderr);
      lines.end();
    },
  };
}

/** At most `atOnceMax` runs at a time. */
export function turnsOf(atOnceMax: number): Turns {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (run) => {
    if (running >= atOnceMax) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      // Its place goes on to the next one.
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

function failureOf(from: string, status: number, stderr: string): Error {
  const [, answered, body = ''] = refusal.exec(stderr) ?? [];
  if (status === 3 && answered !== undefined)
    return new RefusedAnswer(from, Number(answered), body);
  const said = stderr.trim().slice(0, 300) || `status ${status}`;
  return new Error(`the sidecar of ${from} does not answer: ${said}`);
}

// Runs a command in a container over a WebSocket to the API server, as `kubectl exec` does.
import { Agent, WebSocket } from 'undici';

import type { ClusterAccess } from './access.ts';
import { createKubeClient, KubeError } from './client.ts';
import { ExecChannels, type ExecResult } from './exec-channels.ts';

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** The program and its arguments; no shell reads them. */
  readonly command: readonly string[];
}

export interface ExecLimits {
  /** From the connection to the end of the command; 30 s where it is left out. */
  readonly timeoutMs?: number;
  /** Of both outputs together; 32 MiB where it is left out. */
  readonly outputBytesMax?: number;
}

/** v5 says when a stream ends, which nobody here needs; servers before Kubernetes 1.30 speak v4 only. */
const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/**
 * Runs the command to its end, without input. Rejects with KubeError when the server refuses (no such pod, not
 * allowed), and with another Error when the command could not be run, wrote too much or took too long.
 */
export async function execInPod(
  access: ClusterAccess,
  target: ExecTarget,
  limits: ExecLimits = {},
): Promise<ExecResult> {
  const { timeoutMs = 30_000, outputBytesMax = 32 * 1024 * 1024 } = limits;
  const token = await access.token?.();
  const { socket, close } = connect(access, token, execPath(target), timeoutMs);
  try {
    const late = AbortSignal.timeout(timeoutMs);
    const result = await run(socket, new ExecChannels(outputBytesMax), late);
    if (result === 'aborted') throw new Error(`the command did not end within ${timeoutMs} ms`);
    if (result !== 'unopened') return result;
  } finally {
    await close();
  }
  throw await whyRefused(access, target);
}

/** A command that is followed is told so often, on its stdin, that somebody still is there. */
const heartbeatMs = 10_000;
const openTimeoutMs = 30_000;
/** So long a command may take to end once it need not go on. */
const endTimeoutMs = 1000;
const stderrBytesMax = 1024 * 1024;

/**
 * Runs a command that goes on until `signal` is aborted, which ends its stdin: by that it is to end itself, and by hearing
 * nothing there for three times `heartbeatMs`, since a connection that is cut ends no command.
 * @param onStdout gets what it writes, as it comes; what it throws ends the command
 * @return how it ended, without its stdout; null: the signal came first. Rejects as execInPod
 */
export async function followInPod(
  access: ClusterAccess,
  target: ExecTarget,
  onStdout: (text: string) => void,
  signal: AbortSignal,
): Promise<ExecResult | null> {
  if (signal.aborted) return null;
  const token = await access.token?.();
  const { socket, close } = connect(access, token, execPath(target, true), openTimeoutMs);
  const channels = new ExecChannels(stderrBytesMax, onStdout);
  const heartbeat = setInterval(() => say(socket, [stdin, newline]), heartbeatMs);
  try {
    const unopened = new AbortController();
    const late = setTimeout(() => unopened.abort(), openTimeoutMs);
    socket.addEventListener('open', () => clearTimeout(late));
    const result = await run(socket, channels, AbortSignal.any([signal, unopened.signal]));
    clearTimeout(late);
    if (result === 'aborted' && !signal.aborted) throw new Error('the API server does not answer');
    if (result === 'aborted') return null;
    if (result !== 'unopened') return result;
  } finally {
    clearInterval(heartbeat);
    say(socket, [closeStream, stdin]);
    await ended(socket);
    await close();
  }
  throw await whyRefused(access, target);
}

const stdin = 0;
const newline = 10;
/** Of v5: the stream whose number follows has ended. */
const closeStream = 255;

function say(socket: WebSocket, message: readonly number[]): void {
  if (socket.readyState !== WebSocket.OPEN) return;
  if (message[0] !== closeStream || socket.protocol === protocols[0]) {
    socket.send(Uint8Array.from(message));
  }
}

/** Resolves when the connection is closed, or soon. */
function ended(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState !== WebSocket.OPEN) {
      resolve();
      return;
    }
    const timer = setTimeout(resolve, endTimeoutMs);
    socket.addEventListener('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

interface ExecSocket {
  readonly socket: WebSocket;
  readonly close: () => Promise<void>;
}

/** Its events come from the next moment on: whoever waits in between may miss that it failed. */
function connect(
  access: ClusterAccess,
  token: string | undefined,
  path: string,
  timeoutMs: number,
): ExecSocket {
  const agent = new Agent({
    allowH2: false,
    connect: {
      ca: access.caPem,
      cert: access.certPem,
      key: access.keyPem,
      timeout: Math.min(timeoutMs, 10_000),
    },
  });
  const url = new URL(`${access.server.replace(/\/$/, '')}${path}`);
  url.protocol = 'wss:';
  const socket = new WebSocket(url, {
    protocols,
    dispatcher: agent,
    headers: {
      'user-agent': 'selvage',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  });
  socket.binaryType = 'arraybuffer';
  return {
    socket,
    close: async () => {
      socket.close();
      await agent.destroy();
    },
  };
}

/**
 * Path and query of the call.
 * @param withStdin the command gets an input
 */
export function execPath(
  { namespace, pod, container, command }: ExecTarget,
  withStdin = false,
): string {
  const query = new URLSearchParams({ container, stdout: 'true', stderr: 'true' });
  if (withStdin) query.set('stdin', 'true');
  for (const part of command) query.append('command', part);
  const [inNamespace, name] = [namespace, pod].map(encodeURIComponent);
  return `/api/v1/namespaces/${inNamespace}/pods/${name}/exec?${query.toString()}`;
}

/** `unopened`: there never was a WebSocket; `aborted`: the signal came first. */
function run(
  socket: WebSocket,
  channels: ExecChannels,
  signal: AbortSignal,
): Promise<ExecResult | 'unopened' | 'aborted'> {
  const { promise, resolve, reject } = Promise.withResolvers<ExecResult | 'unopened' | 'aborted'>();
  let opened = false;
  const abort = (): void => resolve('aborted');
  const end = (): void => {
    if (!opened) {
      resolve('unopened');
      return;
    }
    try {
      const result = channels.result();
      if (result === null) reject(new Error('the connection ended before the command did'));
      else resolve(result);
    } catch (error) {
      reject(error);
    }
  };
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  socket.addEventListener('open', () => {
    opened = true;
  });
  socket.addEventListener('message', ({ data }) => {
    try {
      if (data instanceof ArrayBuffer) channels.take(new Uint8Array(data));
    } catch (error) {
      reject(error);
    }
  });
  socket.addEventListener('error', end);
  socket.addEventListener('close', end);
  return promise.finally(() => signal.removeEventListener('abort', abort));
}

/** A WebSocket does not tell why it was refused: the same call without one does, and runs nothing. */
async function whyRefused(access: ClusterAccess, target: ExecTarget): Promise<Error> {
  const client = createKubeClient(access);
  const path = execPath(target);
  try {
    await client.get(path);
  } catch (error) {
    // 400: "upgrade request required", so that everything else about it is right.
    const isRefusal = !(error instanceof KubeError) || error.status !== 400;
    if (isRefusal && error instanceof KubeError) return refusalOf(error, path, target);
    if (isRefusal && error instanceof Error) return error;
    const why = error instanceof Error ? `: ${error.message}` : '';
    return new Error(`the API server opened no WebSocket for exec${why}`);
  } finally {
    await client.close();
  }
  return new Error('the API server opened no WebSocket for exec');
}

/** The path has the whole command in it, which says nothing to whoever may not run it. */
function refusalOf(error: KubeError, path: string, { namespace, pod }: ExecTarget): KubeError {
  const { status, reason, retryAfterMs } = error;
  const said = error.message.replace(`GET ${path}`, () => `exec in pod ${namespace}/${pod}`);
  const right = `it takes the verbs get and create of pods/exec in namespace ${namespace}`;
  const message = status === 403 ? `${said}; ${right}` : said;
  return new KubeError({ status, reason, message, retryAfterMs });
}

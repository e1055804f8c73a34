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
  const agent = new Agent({
    allowH2: false,
    connect: {
      ca: access.caPem,
      cert: access.certPem,
      key: access.keyPem,
      timeout: Math.min(timeoutMs, 10_000),
    },
  });
  const url = new URL(`${access.server.replace(/\/$/, '')}${execPath(target)}`);
  url.protocol = 'wss:';
  const socket = new WebSocket(url, {
    protocols,
    dispatcher: agent,
    headers: {
      'user-agent': 'selvage',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  });
  try {
    const result = await run(socket, new ExecChannels(outputBytesMax), timeoutMs);
    if (result !== null) return result;
  } finally {
    socket.close();
    await agent.destroy();
  }
  throw await whyRefused(access, target);
}

/** Path and query of the call. */
export function execPath({ namespace, pod, container, command }: ExecTarget): string {
  const query = new URLSearchParams({ container, stdout: 'true', stderr: 'true' });
  for (const part of command) query.append('command', part);
  const [inNamespace, name] = [namespace, pod].map(encodeURIComponent);
  return `/api/v1/namespaces/${inNamespace}/pods/${name}/exec?${query.toString()}`;
}

/** Resolves to null when the WebSocket was not opened at all. */
function run(
  socket: WebSocket,
  channels: ExecChannels,
  timeoutMs: number,
): Promise<ExecResult | null> {
  return new Promise((resolve, reject) => {
    let opened = false;
    const late = new Error(`the command did not end within ${timeoutMs} ms`);
    const timer = setTimeout(() => reject(late), timeoutMs);
    const end = (): void => {
      clearTimeout(timer);
      if (!opened) {
        resolve(null);
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
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => {
      opened = true;
    });
    socket.addEventListener('message', ({ data }) => {
      try {
        if (data instanceof ArrayBuffer) channels.take(new Uint8Array(data));
      } catch (error) {
        clearTimeout(timer);
        reject(error);
      }
    });
    socket.addEventListener('error', end);
    socket.addEventListener('close', end);
  });
}

/** A WebSocket does not tell why it was refused: the same call without one does, and runs nothing. */
async function whyRefused(access: ClusterAccess, target: ExecTarget): Promise<Error> {
  const client = createKubeClient(access);
  try {
    await client.get(execPath(target));
  } catch (error) {
    // 400: "upgrade request required", so that everything else about it is right.
    const isRefusal = !(error instanceof KubeError) || error.status !== 400;
    if (isRefusal && error instanceof Error) return error;
    const why = error instanceof Error ? `: ${error.message}` : '';
    return new Error(`the API server opened no WebSocket for exec${why}`);
  } finally {
    await client.close();
  }
  return new Error('the API server opened no WebSocket for exec');
}

// Admin endpoints of sidecars on this machine, over plain HTTP on loopback.
import { Agent, type IncomingMessage, request } from 'node:http';

import {
  answerBytesMax,
  answerTimeoutMs,
  JsonLines,
  parseAnswer,
  RefusedAnswer,
} from './answer.ts';
import type { AnnouncedSidecar } from './announcement.ts';
import type { AskableSidecar } from './source.ts';

export function loopbackSidecar({
  namespace,
  workload,
  pod,
  admin,
}: AnnouncedSidecar): AskableSidecar {
  const from = `${namespace}/${pod}`;
  const ask = async (path: string, body?: string): Promise<unknown> => {
    const signal = AbortSignal.timeout(answerTimeoutMs);
    const response = await call({ from, port: admin, path, body, signal });
    const text = await textOf(response);
    if (response.statusCode !== 200) throw new RefusedAnswer(from, response.statusCode ?? 0, text);
    return parseAnswer(from, text);
  };
  return {
    namespace,
    workload,
    pod,
    ask,
    post: (path, body) => ask(path, JSON.stringify(body)),
    follow: (path, onLine, signal, onOpen) =>
      follow({ from, port: admin, path, signal }, onLine, onOpen),
  };
}

interface Call {
  readonly from: string;
  readonly port: number;
  readonly path: string;
  /** Left out: GET. */
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** No environment may send it through a proxy. */
const agent = new Agent({ keepAlive: false });

function call({ from, port, path, body, signal }: Call): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, signal, agent };
    const sent = request(
      body === undefined
        ? options
        : {
            ...options,
            method: 'POST',
            headers: {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
            },
          },
      resolve,
    );
    sent.once('error', (error) => {
      reject(
        new Error(`the sidecar of ${from} does not answer: ${error.message}`, { cause: error }),
      );
    });
    sent.end(body);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > answerBytesMax) throw new Error(`an answer has more than ${answerBytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

async function follow(
  to: Call,
  onLine: (value: unknown) => void,
  onOpen?: () => void,
): Promise<void> {
  const { from, signal } = to;
  try {
    const response = await call(to);
    if (response.statusCode !== 200) {
      throw new RefusedAnswer(from, response.statusCode ?? 0, await textOf(response));
    }
    onOpen?.();
    const lines = new JsonLines(onLine);
    response.setEncoding('utf8');
    for await (const text of response as AsyncIterable<string>) lines.take(text);
    lines.end();
  } catch (error) {
    // Whoever asked has had enough: that is the end, and no failure.
    if (!signal.aborted) throw error;
  }
}

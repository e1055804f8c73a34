// One stream of a sidecar: hello, the check that it asks for its own workload, then updates and answers.
import { constants, type ServerHttp2Stream } from 'node:http2';

import { formatSpiffeId, type SpiffeId } from '#api/spiffe.ts';
import { LineReader } from '#runtime/lines.ts';
import type { Log } from '#runtime/log.ts';

import type { Line } from './encode.ts';
import {
  MessageRefused,
  parseSidecarMessage,
  sidecarLineBytesMax,
  type Hello,
} from './messages.ts';
import { Session, type SessionEvents } from './session.ts';
import type { Sessions } from './sessions.ts';

export interface StreamLimits {
  /** From the stream's start to its hello. */
  readonly helloTimeoutMs: number;
  /** A sidecar may come before the resources that name its workload; it is held so long, then answered 404. */
  readonly unknownWaitMs: number;
  /** A connection without a stream is closed after so long. */
  readonly idleTimeoutMs: number;
}

export interface StreamEvents {
  pushed: SessionEvents['pushed'];
  acked(hello: Hello, version: number, lagMs: number | null): void;
  nacked(hello: Hello, version: number, reason: string): void;
  connected(hello: Hello): void;
  disconnected(hello: Hello): void;
  /** @param code as in the answer: `identity-mismatch` */
  refused(code: string): void;
}

const closeGraceMs = 250;

type Refuse = (stream: ServerHttp2Stream, status: number, code: string, message: string) => void;

export interface StreamContext {
  readonly stream: ServerHttp2Stream;
  readonly peer: SpiffeId;
  readonly sessions: Sessions;
  readonly limits: StreamLimits;
  readonly events: StreamEvents;
  readonly log: Log;
  readonly refuse: Refuse;
}

/** Serves one stream to its end. */
export function serveStream(context: StreamContext): void {
  const { stream, limits } = context;
  const reader = new LineReader(sidecarLineBytesMax);
  let phase: 'hello' | 'admission' | 'over' | Session = 'hello';
  const helloTimer = setTimeout(() => {
    if (phase !== 'hello') return;
    phase = 'over';
    fail(context, 408, 'hello-late', 'no hello within its time');
  }, limits.helloTimeoutMs);
  stream.on('data', (chunk: Buffer) => {
    if (phase === 'over') return;
    try {
      for (const line of reader.push(chunk)) {
        const message = parseSidecarMessage(line);
        if (phase === 'hello' && message.type === 'hello') {
          phase = 'admission';
          void admit(context, message, (session) => {
            phase = session;
          });
        } else if (typeof phase === 'object' && message.type !== 'hello') {
          phase.answer(message);
        } else {
          throw new MessageRefused(`${message.type} does not belong here`);
        }
      }
    } catch (error) {
      phase = 'over';
      const message = error instanceof Error ? error.message : String(error);
      fail(context, 400, 'message-malformed', message);
    }
  });
  // The sidecar's half-close is its goodbye.
  stream.on('end', () => stream.end());
  stream.on('close', () => clearTimeout(helloTimer));
}

/** Lets the peer in when it is what it says it is, else refuses it. */
async function admit(
  context: StreamContext,
  hello: Hello,
  begin: (session: Session) => void,
): Promise<void> {
  const { stream, peer, sessions, limits, events } = context;
  const identity = formatSpiffeId(peer);
  const wanted = `${hello.namespace}/${hello.workload}`;
  if (hello.namespace !== peer.namespace) {
    fail(context, 403, 'identity-mismatch', `${identity} may not have the snapshot of ${wanted}`);
    return;
  }
  const snapshot = await sessions.snapshotWithin(hello, limits.unknownWaitMs);
  if (stream.destroyed || stream.closed) return;
  if (snapshot === null) {
    const message = `no resource describes the workload ${wanted}, and no pod of it is called ${hello.pod}`;
    fail(context, 404, 'workload-unknown', message);
    return;
  }
  const { serviceAccount } = snapshot.workload;
  if (serviceAccount !== peer.serviceAccount) {
    const message = `${wanted} runs as service account ${serviceAccount}, the certificate is ${identity}`;
    fail(context, 403, 'identity-mismatch', message);
    return;
  }
  stream.respond({
    [constants.HTTP2_HEADER_STATUS]: 200,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/x-ndjson',
  });
  const writer = {
    write: (line: Line) => {
      if (!stream.writable) return;
      const [only] = line;
      if (line.length === 1 && only !== undefined) {
        stream.write(only);
        return;
      }
      stream.cork();
      for (const part of line) stream.write(part);
      stream.uncork();
    },
    end: () => {
      stream.end();
      // A peer that does not end its half is cut off.
      setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), closeGraceMs).unref();
    },
  };
  const session = new Session(hello, peer.serviceAccount, writer, {
    pushed: events.pushed,
    acked: (version, lagMs) => events.acked(hello, version, lagMs),
    nacked: (version, reason) => events.nacked(hello, version, reason),
  });
  events.connected(hello);
  stream.on('close', () => {
    sessions.remove(session);
    events.disconnected(hello);
  });
  begin(session);
  sessions.add(session);
}

function fail(context: StreamContext, status: number, code: string, message: string): void {
  const { stream, events, log, peer, refuse } = context;
  events.refused(code);
  log.warn({ peer: formatSpiffeId(peer), code, reason: message }, 'a sidecar was refused');
  refuse(stream, status, code, message);
}

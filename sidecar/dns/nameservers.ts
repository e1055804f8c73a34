// Asks the system's name servers, one after the other, and takes nothing for an answer that is none to the question.
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';

import type { Address } from '#runtime/setting-types.ts';

import { isAnswerTo } from './answer.ts';
import { codeOf, codes, withId } from './message.ts';
import type { Query } from './query.ts';
import { sourcePorts } from './source-ports.ts';
import { readMessages, writeMessage } from './tcp-messages.ts';

export type Transport = 'udp' | 'tcp';

/** Null: there was none in time. */
type Asked = Promise<Buffer | null>;

/** Of servers that are not of use at present: the next one may know better. */
const useless: readonly number[] = [codes.serverFailure, codes.notImplemented, codes.refused];
const portTries = 3;

export class Nameservers {
  readonly #servers: readonly Address[];
  readonly #timeoutMs: number;
  readonly #newPort = sourcePorts();
  /** The one that answered last: whoever asks begins anew after a few seconds, and must not meet a dead one each time. */
  #first = 0;

  /** @param timeoutMs for all of them together */
  constructor(servers: readonly Address[], timeoutMs: number) {
    this.#servers = servers;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * The answer of a server, with the number of the query; null: none had one in time. By the transport that the question
   * came by: who gets an answer that is cut short asks again by TCP, as it would without us. Never rejects.
   */
  async ask(query: Query, transport: Transport): Asked {
    const count = this.#servers.length;
    const begin = this.#first;
    let last: Buffer | null = null;
    for (let i = 0; i < count; i++) {
      const at = (begin + i) % count;
      const server = this.#servers[at];
      if (server === undefined) break;
      const shareMs = this.#timeoutMs / count;
      const answer = await (transport === 'udp'
        ? this.#askByUdp(query, server, shareMs)
        : askByTcp(query, server, shareMs));
      if (answer === null) continue;
      last = withId(answer, query.id);
      if (useless.includes(codeOf(answer))) continue;
      this.#first = at;
      return last;
    }
    return last;
  }

  /** From a socket of its own, at a port that nobody can know: with the number, 2^30 ways to be wrong. */
  #askByUdp(query: Query, { host, port }: Address, timeoutMs: number): Asked {
    const { promise, resolve } = Promise.withResolvers<Buffer | null>();
    const id = randomInt(65_536);
    const six = isIPv6(host);
    let triesLeft = portTries;
    const bind = (): void => {
      const socket = createSocket(six ? 'udp6' : 'udp4');
      const end = (answer: Buffer | null): void => {
        clearTimeout(timer);
        socket.removeAllListeners().on('error', () => undefined);
        socket.close();
        resolve(answer);
      };
      const timer = setTimeout(() => end(null), timeoutMs);
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EADDRINUSE' || triesLeft === 0) return end(null);
        clearTimeout(timer);
        socket.close();
        triesLeft -= 1;
        bind();
      });
      socket.on('message', (message) => {
        if (isAnswerTo(query, id, message)) end(message);
      });
      socket.bind({ port: triesLeft === 0 ? 0 : this.#newPort(), exclusive: true }, () => {
        // Connected, so that the kernel keeps away what comes from elsewhere, and tells of a port that is closed.
        socket.connect(port, host, () => socket.send(withId(query.bytes, id)));
      });
    };
    bind();
    return promise;
  }
}

function askByTcp(query: Query, { host, port }: Address, timeoutMs: number): Asked {
  const { promise, resolve } = Promise.withResolvers<Buffer | null>();
  const id = randomInt(65_536);
  const socket = connect({ host, port });
  const end = (answer: Buffer | null): void => {
    clearTimeout(timer);
    socket.destroy();
    resolve(answer);
  };
  const timer = setTimeout(() => end(null), timeoutMs);
  socket.on('error', () => end(null));
  socket.on('close', () => end(null));
  socket.on('connect', () => socket.write(writeMessage(withId(query.bytes, id))));
  socket.on(
    'data',
    readMessages(Number.MAX_SAFE_INTEGER, (message) => {
      end(message !== null && isAnswerTo(query, id, message) ? message : null);
    }),
  );
  return promise;
}

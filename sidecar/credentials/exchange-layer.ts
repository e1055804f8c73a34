// The outbound layer that gives calls another token than the one they came with.
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

import type { Log } from '#runtime/log.ts';

import type { Exchange } from '../exchange.ts';
import { failures, type Failure } from '../failures.ts';
import { PASS, type Layer, type Outcome } from '../request-path.ts';
import type { HttpClient } from '../upstream/http-client.ts';
import { Exchanger } from './exchanger.ts';
import type { CompiledExchange } from './exchanges.ts';
import { ExchangeError } from './token-request.ts';

/** A file is read again after this: tokens are renewed long before their end. */
const fileReadEveryMs = 5000;
/** One line each, however many calls fail. */
const logEveryMs = 10_000;
const bearer = /^Bearer +([^\s,]+)$/i;

/** Costs a look where no token is exchanged. */
export function exchangeLayer(client: HttpClient, log: Log): Layer {
  const states = new WeakMap<CompiledExchange, State>();
  return (x) => {
    const exchanges = x.enforced?.exchanges ?? null;
    if (exchanges === null) return PASS;
    const found = exchanges.find(hostsOf(x));
    if (found === null) return PASS;
    let state = states.get(found);
    if (state === undefined) {
      state = new State(new Exchanger(found, client), log);
      states.set(found, state);
    }
    return state.apply(x);
  };
}

/** Where the call really goes; behind an address of a captured call the name that it gives itself. */
function hostsOf({ to, request }: Exchange): readonly string[] {
  if (to === null) return [];
  if (to.kind === 'service') return to.route.service.hosts;
  const named = isIP(to.host) === 0 ? to.host : request.authority.replace(/:\d*$/, '');
  return [named.toLowerCase()];
}

class State {
  readonly #exchanger: Exchanger;
  readonly #log: Log;
  #file: { readonly text: string; readonly readAtMs: number } | null = null;
  #loggedAtMs = Number.NEGATIVE_INFINITY;

  constructor(exchanger: Exchanger, log: Log) {
    this.#exchanger = exchanger;
    this.#log = log;
  }

  apply(x: Exchange): Outcome | Promise<Outcome> {
    const { subject } = this.#exchanger.exchange.spec;
    if (subject.from === 'file') return this.#fromFile(x, subject.file ?? '');
    const lines = x.request.values('authorization');
    const given = lines.length === 1 ? (bearer.exec(lines[0] ?? '')?.[1] ?? '') : '';
    return given === '' ? this.#missing(x, 'the call has no Bearer token') : this.#give(x, given);
  }

  async #fromFile(x: Exchange, path: string): Promise<Outcome> {
    const nowMs = performance.now();
    if (this.#file === null || nowMs - this.#file.readAtMs > fileReadEveryMs) {
      const text = await readFile(path, 'utf8').catch(() => '');
      this.#file = { text: text.trim(), readAtMs: nowMs };
    }
    const { text } = this.#file;
    return text === '' ? this.#missing(x, `${path} has no token`) : this.#give(x, text);
  }

  #give(x: Exchange, subject: string): Outcome | Promise<Outcome> {
    const token = this.#exchanger.tokenFor(subject);
    if (typeof token === 'string') return put(x, token);
    return token.then(
      (made) => put(x, made),
      (error: unknown) => this.#failed(x, error),
    );
  }

  #missing(x: Exchange, why: string): Outcome {
    if (this.#exchanger.exchange.spec.onMissing === 'allow') return PASS;
    return say(x, failures['exchange-refused'], why);
  }

  #failed(x: Exchange, error: unknown): Outcome {
    if (!(error instanceof ExchangeError)) throw error;
    const { name, spec } = this.#exchanger.exchange;
    const { onFailure } = spec;
    const nowMs = performance.now();
    if (nowMs - this.#loggedAtMs > logEveryMs) {
      this.#loggedAtMs = nowMs;
      const fields = { exchange: name, endpoint: spec.tokenEndpoint, onFailure };
      this.#log.warn({ ...fields, reason: error.message }, 'no new token for a call');
    }
    if (onFailure === 'allow') return PASS;
    const failure = failures[error.kind === 'refused' ? 'exchange-refused' : 'exchange-failed'];
    return say(x, failure, error.message);
  }
}

function put(x: Exchange, token: string): Outcome {
  x.request.removeSpellings('authorization');
  x.request.append('authorization', `Bearer ${token}`);
  return PASS;
}

function say(x: Exchange, failure: Failure, why: string): Failure {
  x.details = `${failure.details}{${why}}`;
  return { ...failure, body: `${failure.body}: ${why}` };
}

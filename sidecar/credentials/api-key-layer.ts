// The inbound layer that asks for API keys: a good one makes its owner known, a bad one is refused.
import type { ApiKeys } from '#policy/api-keys/compile.ts';
import { judgeKeys, type KeyOutcome } from '#policy/api-keys/judge.ts';

import type { Exchange } from '../exchange.ts';
import { failures, type Failure } from '../failures.ts';
import { PASS, type Outcome } from '../request-path.ts';

/** Costs a look where no key is asked for. */
export function apiKeyLayer(x: Exchange): Outcome {
  const keys = x.enforced?.apiKeys ?? null;
  return keys === null ? PASS : ask(x, keys);
}

function ask(x: Exchange, keys: ApiKeys): Outcome {
  const { request } = x;
  const outcome = judgeKeys(keys, x.downstream.facts, request);
  if (!outcome.ok) return refuse(x, outcome);
  x.consumer = outcome.consumer;
  const { remove, path, append } = outcome.edits;
  for (const name of remove) request.removeSpellings(name);
  if (path !== null) request.setPath(path);
  for (const [name, value] of append) request.append(name, value);
  return PASS;
}

function refuse(x: Exchange, outcome: Extract<KeyOutcome, { ok: false }>): Failure {
  const { problem, details, message } = outcome;
  const realm = x.enforced?.snapshot.workload.name ?? '';
  x.replyHeaders = `www-authenticate: Key realm="${realm}", error="${problem}_key"\r\n`;
  x.details = details;
  return { ...failures['key-refused'], body: message };
}

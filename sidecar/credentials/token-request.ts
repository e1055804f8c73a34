// What a token endpoint is asked and what it answers (RFC 8693 sections 2.1 and 2.2), as text.
import type { TokenExchangeSpec } from '#api/kinds/token-exchange.ts';

import type { HttpAnswer } from '../upstream/http-client.ts';

/** What proves the client: a secret, or an assertion that was signed; '' for none. */
export type Proof = string;

export interface TokenForm {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export interface NewToken {
  readonly token: string;
  /** Seconds from now; 0: not said. */
  readonly expiresIn: number;
}

/** The endpoint said no (`refused`), or nothing that can be used. */
export class ExchangeError extends Error {
  readonly kind: 'refused' | 'failed';

  constructor(kind: 'refused' | 'failed', message: string) {
    super(message);
    this.kind = kind;
  }
}

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const tokenTypes = 'urn:ietf:params:oauth:token-type:';

export function tokenForm(spec: TokenExchangeSpec, subject: string, proof: Proof): TokenForm {
  const { audience, resource, scopes, requestedTokenType, client } = spec;
  const form = new URLSearchParams({
    grant_type: exchangeGrant,
    subject_token: subject,
    subject_token_type: tokenTypes + spec.subject.type,
  });
  if (audience !== undefined) form.set('audience', audience);
  if (resource !== undefined) form.set('resource', resource);
  if (scopes !== undefined) form.set('scope', scopes.join(' '));
  if (requestedTokenType !== undefined) {
    form.set('requested_token_type', tokenTypes + requestedTokenType);
  }
  const headers: [string, string][] = [
    ['content-type', 'application/x-www-form-urlencoded'],
    ['accept', 'application/json'],
  ];
  if (client?.method === 'basic') headers.push(['authorization', basic(client.id, proof)]);
  else if (client !== undefined) form.set('client_id', client.id);
  if (client?.method === 'post') form.set('client_secret', proof);
  if (client?.method === 'private_key_jwt') {
    form.set('client_assertion_type', assertionType);
    form.set('client_assertion', proof);
  }
  return { headers, body: form.toString() };
}

/** RFC 6749 section 2.3.1: both parts are encoded as a form's before they are joined. */
function basic(id: string, secret: string): string {
  const [name, password] = [id, secret].map((text) => new URLSearchParams({ v: text }).toString());
  const pair = `${name?.slice(2)}:${password?.slice(2)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/** The new token. Throws ExchangeError; what it says has none of the endpoint's text but its error code. */
export function readAnswer({ status, body }: HttpAnswer): NewToken {
  if (status >= 500) throw new ExchangeError('failed', `the endpoint answered ${status}`);
  const fields = parseFields(body);
  if (status !== 200) {
    const code = textOf(fields, 'error');
    const said = /^[\w.-]{1,64}$/.test(code) ? code : `status ${status}`;
    throw new ExchangeError('refused', said);
  }
  const token = textOf(fields, 'access_token');
  // It becomes a header: RFC 6750 section 2.1.
  if (!/^[-\w.~+/]+=*$/.test(token)) {
    throw new ExchangeError('failed', 'the answer has no access_token that a header can carry');
  }
  const type = textOf(fields, 'token_type').toLowerCase();
  if (type !== 'bearer' && type !== 'n_a') {
    throw new ExchangeError('failed', 'the token is neither of type Bearer nor N_A');
  }
  return { token, expiresIn: secondsOf(fields?.['expires_in']) };
}

/** Some endpoints write the number as text. */
function secondsOf(value: unknown): number {
  const seconds = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value;
  return typeof seconds === 'number' && Number.isFinite(seconds) && seconds > 0 ? seconds : 0;
}

type Fields = Readonly<Record<string, unknown>>;

function parseFields(body: string): Fields | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Fields) : null;
  } catch {
    return null;
  }
}

function textOf(fields: Fields | null, name: string): string {
  const value = fields !== null && Object.hasOwn(fields, name) ? fields[name] : undefined;
  return typeof value === 'string' ? value : '';
}

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { tokenExchangeSpec } from '#api/kinds/token-exchange.ts';
import { ExchangeError, readAnswer, tokenForm } from '#sidecar/credentials/token-request.ts';

test('whatever an endpoint answers, there is a token that a header can carry, or an error without its text', () => {
  const values = fc.oneof(fc.string(), fc.constantFrom('Bearer', 'N_A', 'bearer'), fc.integer());
  const fields = fc.constantFrom('access_token', 'token_type', 'expires_in', 'error', '__proto__');
  const json = fc
    .oneof(fc.dictionary(fields, values), fc.jsonValue())
    .map((one) => JSON.stringify(one));
  const bodies = fc.oneof(json, fc.string());
  const statuses = fc.constantFrom(200, 201, 302, 400, 401, 500);
  fc.assert(
    fc.property(statuses, bodies, (status, body) => {
      const said = outcomeOf(status, body);
      expect(said).toMatch(/^(token [-\w.~+/]+=* \d+(\.\d+)?(e\+\d+)?|[\w ]{4,80}|[\w.-]{1,64})$/);
    }),
    { numRuns: 3000 },
  );
});

function outcomeOf(status: number, body: string): string {
  try {
    const { token, expiresIn } = readAnswer({ status, headers: [], body });
    return `token ${token} ${expiresIn}`;
  } catch (error) {
    if (error instanceof ExchangeError) return error.message;
    throw error;
  }
}

test('what is asked is one form, whatever is in it', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1 });
  fc.assert(
    fc.property(text, text, text, text, (subject, audience, id, secret) => {
      const base = { hosts: ['a'], tokenEndpoint: 'https://id/token', audience };
      const post = tokenExchangeSpec.parse({ ...base, client: { id, method: 'post' } });
      const form = new URLSearchParams(tokenForm(post, subject, secret).body);
      expect(form.getAll('subject_token')).toEqual([wellFormed(subject)]);
      expect(form.getAll('audience')).toEqual([wellFormed(audience)]);
      expect(form.getAll('client_id')).toEqual([wellFormed(id)]);
      expect(form.getAll('client_secret')).toEqual([wellFormed(secret)]);
      const basic = tokenExchangeSpec.parse({ ...base, client: { id } });
      const header = new Map(tokenForm(basic, subject, secret).headers).get('authorization') ?? '';
      const pair = Buffer.from(header.replace('Basic ', ''), 'base64').toString().split(':');
      expect(pair.map((part) => new URLSearchParams(`v=${part}`).get('v'))).toEqual([
        wellFormed(id),
        wellFormed(secret),
      ]);
    }),
  );
});

function wellFormed(value: string): string {
  return Buffer.from(value).toString();
}

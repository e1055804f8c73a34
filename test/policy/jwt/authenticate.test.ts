// Tokens as clients and attackers send them, against rules as users write them.
import { createPublicKey } from 'node:crypto';

import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';

import { authenticate, challenge, type TokenOutcome } from '#policy/jwt/authenticate.ts';
import { compileTokenRules, type TokenRules } from '#policy/jwt/rules.ts';

import type { JwtRule } from '#api/kinds/request-authentication.ts';
import {
  authentication,
  bearer,
  ecKey,
  edKey,
  encode,
  keySet,
  makeToken,
  request,
  rsaKey,
  type TestKey,
} from './signing.ts';

const rsa = rsaKey();
const other = rsaKey();
const jwks = keySet({ ...rsa.jwk, kid: 'k1' });
const header = { alg: 'RS256', kid: 'k1' };
const claims = { iss: 'iss', sub: 'sub', aud: ['foo', 'bar'] };
const good = makeToken(claims, rsa, header);

function rulesOf(...rules: Partial<JwtRule>[]): TokenRules {
  const compiled = compileTokenRules([authentication(...rules)]);
  if (compiled === null) throw new Error('no rules');
  return compiled;
}

async function messageOf(rules: TokenRules, token: string): Promise<string> {
  return said(await authenticate(rules, bearer(token)));
}

function said(outcome: TokenOutcome): string {
  if (!outcome.ok) return outcome.message;
  return outcome.token === null ? 'anonymous' : `verified ${outcome.token.subject}`;
}

const seconds = (): number => Math.floor(Date.now() / 1000);

describe('algorithms', () => {
  const keys: [string, TestKey, string[]][] = [
    ['RSA', rsa, ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ['P-256', ecKey('P-256'), ['ES256']],
    ['P-384', ecKey('P-384'), ['ES384']],
    ['P-521', ecKey('P-521'), ['ES512']],
    ['Ed25519', edKey(), ['EdDSA']],
  ];
  for (const [name, key, algorithms] of keys) {
    test.each(algorithms)(`a key ${name} verifies %s`, async (alg) => {
      const rules = rulesOf({ jwks: keySet(key.jwk) });
      expect(await messageOf(rules, makeToken(claims, key, { alg }))).toBe('verified sub');
    });
  }

  test('a secret verifies HS256, HS384 and HS512, and no other secret does', async () => {
    const secret = Buffer.from('a secret of at least thirty-two octets, of course');
    const rules = rulesOf({ jwks: keySet({ kty: 'oct', k: secret.toString('base64url') }) });
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      expect(await messageOf(rules, makeToken(claims, { secret }, { alg }))).toBe('verified sub');
      const forged = makeToken(claims, { secret: 'guess' }, { alg });
      expect(await messageOf(rules, forged)).toBe('Jwt verification fails');
    }
  });

  test.each(['none', 'None', 'NONE', '', 'RS1', 'ES256K', 'A128KW', 'Ed25519'])(
    'a token of algorithm "%s" is refused',
    async (alg) => {
      const token = `${encode({ alg })}.${encode(claims)}.${encode('x')}`;
      expect(await messageOf(rulesOf({ jwks }), token)).toBe('Jwt header [alg] is not supported');
    },
  );

  test('a token without a signature is not a token, whatever algorithm it names', async () => {
    const unsigned = `${encode({ alg: 'none' })}.${encode(claims)}.`;
    expect(await messageOf(rulesOf({ jwks }), unsigned)).toMatch('two dots and 3 sections');
  });

  test('the public RSA key is no HMAC secret, in whatever form it is used', async () => {
    const key = createPublicKey({ key: rsa.jwk, format: 'jwk' });
    const forms = [
      key.export({ format: 'pem', type: 'spki' }),
      key.export({ format: 'der', type: 'spki' }),
      JSON.stringify(rsa.jwk),
      Buffer.from(String(rsa.jwk['n']), 'base64url'),
      jwks,
    ];
    for (const set of [jwks, keySet(rsa.jwk), keySet({ ...rsa.jwk, alg: 'HS256' })]) {
      for (const secret of forms) {
        for (const alg of ['HS256', 'HS384', 'HS512']) {
          const outcome = await authenticate(
            rulesOf({ jwks: set }),
            bearer(makeToken(claims, { secret }, { alg })),
          );
          expect(outcome.ok).toBe(false);
        }
      }
    }
  });

  test('a key that declares its algorithm verifies no other', async () => {
    const rules = rulesOf({ jwks: keySet({ ...rsa.jwk, alg: 'RS256' }) });
    const token = makeToken(claims, rsa, { alg: 'PS256' });
    expect(await messageOf(rules, token)).toMatch("doesn't have key to match kid or alg");
  });

  test('a key in the token itself is not believed', async () => {
    const token = makeToken(claims, other, { alg: 'RS256', jwk: other.jwk, jku: 'http://x/' });
    expect(await messageOf(rulesOf({ jwks }), token)).toBe('Jwt verification fails');
  });

  test('a kid that looks like a path names no key', async () => {
    const token = makeToken(claims, rsa, { alg: 'RS256', kid: '../../../../dev/null' });
    expect(await messageOf(rulesOf({ jwks }), token)).toMatch("doesn't have key to match kid");
  });

  test('critical extensions that nobody understands are refused', async () => {
    const token = makeToken(claims, rsa, { ...header, crit: ['exp'], exp: 1 });
    expect(await messageOf(rulesOf({ jwks }), token)).toBe('Jwt verification fails');
  });

  test('a weak RSA key verifies nothing', async () => {
    const weak = rsaKey(1024);
    const rules = rulesOf({ jwks: keySet(weak.jwk) });
    expect(await messageOf(rules, makeToken(claims, weak, { alg: 'RS256' }))).toBe(
      'Jwt verification fails',
    );
  });
});

describe('claims', () => {
  const rules = rulesOf({ jwks });
  const signed = (more: Record<string, unknown>): string =>
    makeToken({ ...claims, ...more }, rsa, header);

  test('a missing exp is fine; a past one is not, with 60 s of leeway', async () => {
    const now = seconds();
    expect(await messageOf(rules, good)).toBe('verified sub');
    expect(await messageOf(rules, signed({ exp: now - 30 }))).toBe('verified sub');
    expect(await messageOf(rules, signed({ exp: now - 70 }))).toBe('Jwt is expired');
    expect(await messageOf(rules, signed({ nbf: now + 30 }))).toBe('verified sub');
    expect(await messageOf(rules, signed({ nbf: now + 70 }))).toBe('Jwt not yet valid');
  });

  test.each([
    [{ exp: '4102444800' }, 'Jwt payload [exp] field is not an integer'],
    [{ exp: -1 }, 'Jwt payload [exp] field is not a positive 64 bit integer'],
    [{ exp: 1e300 }, 'Jwt payload [exp] field is not a positive 64 bit integer'],
    [{ nbf: null }, 'Jwt payload [nbf] field is not an integer'],
    [{ iat: [] }, 'Jwt payload [iat] field is not an integer'],
    [{ iss: 5 }, 'Jwt payload [iss] field is not a string'],
    [{ sub: null }, 'Jwt payload [sub] field is not a string'],
    [{ jti: 7 }, 'Jwt payload [jti] field is not a string'],
    [{ aud: { foo: 1 } }, 'Jwt payload [aud] field is not a string or string list'],
    [{ aud: ['foo', 1] }, 'Jwt payload [aud] field is not a string or string list'],
    [{ iss: 'someone' }, 'Jwt issuer is not configured'],
    [{ iss: undefined }, 'Jwt issuer is not configured'],
  ])('claims with %o are refused: %s', async (more, message) => {
    expect(await messageOf(rules, signed(more))).toBe(message);
  });

  test('a wrong audience is 403, with the details that Envoy writes', async () => {
    const narrow = rulesOf({ jwks, audiences: ['https://baz/'] });
    expect(await authenticate(narrow, bearer(good))).toEqual({
      ok: false,
      status: 403,
      details: 'jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}',
      message: 'Audiences in Jwt are not allowed',
    });
    expect(await messageOf(narrow, signed({ aud: 'baz' }))).toBe('verified sub');
  });

  test.each([
    ['a..b', 'two dots and 3 sections'],
    ['a.b.c.d', 'two dots and 3 sections'],
    ['a%.b.c', 'header is an invalid Base64url'],
    [`${encode('[]')}.b.c`, 'header is an invalid JSON'],
    [`${encode('{"alg":5}')}.b.c`, '[alg] field is required'],
    [`${encode('{"alg":"RS256","kid":1}')}.b.c`, '[kid] field is not a string'],
    [`${encode(header)}.!.c`, 'payload is an invalid Base64url'],
    [`${encode(header)}.${encode('nope')}.c`, 'payload is an invalid JSON'],
    [`${encode(header)}.${encode(claims)}.!`, 'signature is an invalid Base64url'],
  ])('the text %s is refused: %s', async (text, message) => {
    expect(await messageOf(rules, text)).toMatch(message);
  });

  test('bytes that are no UTF-8 are refused as JSON', async () => {
    const bytes = Buffer.from('7b22616c67223a22ff227d', 'hex').toString('base64url');
    expect(await messageOf(rules, `${bytes}.b.c`)).toBe('Jwt header is an invalid JSON');
  });

  test('claims called __proto__ and constructor are plain claims', async () => {
    const text = '{"iss":"iss","sub":"s","__proto__":{"aud":"x"},"constructor":"c"}';
    const outcome = await authenticate(rules, bearer(makeToken(text, rsa, header)));
    expect(outcome.ok && Object.keys(outcome.token?.payload ?? {})).toContain('__proto__');
  });
});

describe('keys', () => {
  test.each(['', '{', '{"keys":[]}', '{"keys":{}}', '[]', 'null', '{"keys":[null,5,{"kty":"X"}]}'])(
    'with the key set %s every token fails',
    async (set) => {
      const rules = rulesOf({ jwks: set });
      expect(await messageOf(rules, good)).toBe("Jwks doesn't have any valid public key");
    },
  );

  test('broken keys beside a good one do no harm', async () => {
    const set = keySet({ kty: 'RSA', n: '!', e: 'AQAB' }, { ...rsa.jwk, e: 'Ag' }, rsa.jwk);
    expect(await messageOf(rulesOf({ jwks: set }), good)).toBe('verified sub');
  });

  test('a rule without keys believes nothing', async () => {
    const rules = rulesOf({ jwksUri: 'http://127.0.0.1/' });
    expect(await messageOf(rules, good)).toMatch('any valid public key');
  });
});

describe('places', () => {
  test('every token found must be good: a good header does not excuse a bad parameter', async () => {
    const rules = rulesOf({ jwks });
    const bad = makeToken(claims, other, header);
    const headers = [['authorization', `Bearer ${good}`]] as const;
    const outcome = await authenticate(rules, request({ path: `/?access_token=${bad}`, headers }));
    expect(said(outcome)).toBe('Jwt verification fails');
  });

  test('the token leaves the request: header cut, parameter cut, other parameters kept', async () => {
    const rules = rulesOf({ jwks });
    const inHeader = await authenticate(rules, bearer(good));
    expect(inHeader).toMatchObject({ ok: true, remove: ['authorization'], path: null });
    const inQuery = await authenticate(
      rules,
      request({ path: `/a?z=%0d%0a&access_token=${good}&b` }),
    );
    expect(inQuery).toMatchObject({ ok: true, remove: [], path: '/a?b=&z=%0d%0a' });
  });

  test('forwardOriginalToken leaves it there', async () => {
    const rules = rulesOf({ jwks, forwardOriginalToken: true });
    expect(await authenticate(rules, bearer(good))).toMatchObject({ remove: [], path: null });
  });

  test('an escaped parameter name and value are read as what they mean', async () => {
    const path = `/?acc%65ss_token=${good.replace('.', '%2e')}`;
    expect(said(await authenticate(rulesOf({ jwks }), request({ path })))).toBe('verified sub');
  });

  test('an explicit place switches the defaults off', async () => {
    const rules = rulesOf({ jwks, fromCookies: ['jc'] });
    expect(await messageOf(rules, 'garbage')).toBe('anonymous');
    const headers = [['cookie', `a=b; jc="${good}"; jc=garbage`]] as const;
    expect(said(await authenticate(rules, request({ headers })))).toBe('verified sub');
  });

  test('two lines of another header are two tokens, and both must be good', async () => {
    const rules = rulesOf({ jwks, fromHeaders: [{ name: 'X-Jwt', prefix: '' }] });
    const ask = (second: string): Promise<TokenOutcome> | TokenOutcome =>
      authenticate(
        rules,
        request({
          headers: [
            ['x-jwt', good],
            ['x-jwt', second],
          ],
        }),
      );
    expect(said(await ask(good))).toBe('verified sub');
    expect((await ask('garbage')).ok).toBe(false);
  });

  test('a preflight passes whatever it carries', () => {
    const headers = [
      ['authorization', 'Bearer garbage'],
      ['origin', 'http://a'],
      ['access-control-request-method', 'GET'],
    ] as const;
    const outcome = authenticate(rulesOf({ jwks }), request({ method: 'OPTIONS', headers }));
    expect(outcome).toMatchObject({ ok: true, token: null });
  });
});

describe('headers made of claims', () => {
  const rules = rulesOf({
    jwks,
    outputPayloadToHeader: 'X-Payload',
    outputClaimToHeaders: [
      { header: 'X-Role', claim: 'role' },
      { header: 'x-deep', claim: 'a.b' },
      { header: 'x-number', claim: 'n' },
    ],
  });

  test('what the client sent under those names is cut, also without a token', async () => {
    const outcome = await authenticate(rules, request({ headers: [['x-role', 'admin']] }));
    expect(outcome).toMatchObject({
      ok: true,
      remove: ['x-payload', 'x-role', 'x-deep', 'x-number'],
      append: [],
    });
  });

  test('claims and the payload are put in', async () => {
    const more = { ...claims, role: 'ädmin', a: { b: true }, n: 1.5 };
    const outcome = await authenticate(rules, bearer(makeToken(more, rsa, header)));
    expect(outcome).toMatchObject({
      append: [
        ['x-payload', encode(more)],
        ['x-role', Buffer.from('ädmin').toString('latin1')],
        ['x-deep', 'true'],
        ['x-number', '1.500000'],
      ],
    });
  });

  test('a list goes as JSON in base64, and null not at all', async () => {
    const more = { ...claims, role: ['a', 1], n: null };
    const outcome = await authenticate(rules, bearer(makeToken(more, rsa, header)));
    expect(outcome).toMatchObject({
      append: [
        ['x-payload', encode(more)],
        ['x-role', Buffer.from('["a",1]').toString('base64')],
      ],
    });
  });

  test('a claim with a line end makes no header', async () => {
    const more = { ...claims, role: 'x\r\nx-admin: yes' };
    const outcome = await authenticate(rules, bearer(makeToken(more, rsa, header)));
    expect(outcome.ok && outcome.append.map(([name]) => name)).toEqual(['x-payload']);
  });
});

describe('several rules', () => {
  const second = keySet({ ...other.jwk, kid: 'k2' });
  const rules = rulesOf({ jwks }, { issuer: 'two', jwks: second });
  const two = makeToken({ iss: 'two', sub: 'b' }, other, { alg: 'RS256', kid: 'k2' });

  test('a token must satisfy one of them', async () => {
    expect(await messageOf(rules, good)).toBe('verified sub');
    expect(await messageOf(rules, two)).toBe('verified b');
    expect(said(await authenticate(rules, request()))).toBe('anonymous');
  });

  test('the report is the real problem, not that the other rule has another issuer', async () => {
    const expired = makeToken({ iss: 'two', exp: 1 }, other, { alg: 'RS256' });
    expect(await messageOf(rules, expired)).toBe('Jwt is expired');
    const stranger = makeToken({ iss: 'three' }, other, { alg: 'RS256' });
    expect(await messageOf(rules, stranger)).toBe('Jwt issuer is not configured');
  });

  test('a key of one issuer does not sign for another', async () => {
    const crossed = makeToken({ iss: 'two', sub: 'x' }, rsa, { alg: 'RS256' });
    expect(await messageOf(rules, crossed)).toBe('Jwt verification fails');
  });
});

describe('the cache', () => {
  test('the second time the answer is at hand, and it is the same', async () => {
    const rules = rulesOf({ jwks });
    const first = await authenticate(rules, bearer(good));
    const again = authenticate(rules, bearer(good));
    expect(again).not.toBeInstanceOf(Promise);
    expect(again).toEqual(first);
  });

  test('a refused token is not remembered as good', async () => {
    const rules = rulesOf({ jwks });
    const forged = makeToken(claims, other, header);
    for (let i = 0; i < 3; i++)
      expect(await messageOf(rules, forged)).toBe('Jwt verification fails');
  });

  test('a remembered token still expires', async () => {
    const rules = rulesOf({ jwks });
    const token = makeToken({ ...claims, exp: seconds() + 5 }, rsa, header);
    expect(await messageOf(rules, token)).toBe('verified sub');
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 70_000 });
    const later = said(await authenticate(rules, bearer(token)));
    vi.useRealTimers();
    expect(later).toBe('Jwt is expired');
  });
});

test('a 401 challenges with the address that was asked for, and cannot be broken out of', () => {
  const r = request({ path: '/a"b' });
  expect(challenge(r)).toBe('Bearer realm="https://srv.foo/a%22b", error="invalid_token"');
  expect(challenge(request({ path: `/${'a'.repeat(9000)}` })).length).toBeLessThan(300);
});

test('no text in any place makes it throw or is believed', async () => {
  const rules = rulesOf(
    { jwks, fromHeaders: [{ name: 'x-jwt', prefix: 'T ' }], fromParams: ['t'], fromCookies: ['c'] },
    { jwks, issuer: '' },
  );
  const piece = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.json().map(encode),
    fc.constantFrom(...good.split('.'), '', '.', '..', 'Bearer ', 'T ', '%', '=', '&', ';'),
  );
  const text = fc.array(piece, { maxLength: 5 }).map((parts) => parts.join('.'));
  await fc.assert(
    fc.asyncProperty(text, text, text, async (a, b, c) => {
      const outcome = await authenticate(
        rules,
        request({
          path: `/?t=${a}&access_token=${b}`,
          headers: [
            ['authorization', `Bearer ${a}`],
            ['x-jwt', `T ${b}`],
            ['cookie', `c=${c}`],
          ],
        }),
      );
      const genuine = [a, b, c].some((one) => one.includes(good));
      expect(genuine || !outcome.ok || outcome.token === null).toBe(true);
    }),
    { numRuns: 150, seed: 7 },
  );
});

test('a token of which one byte was changed never verifies', async () => {
  const ec = ecKey('P-256');
  const rules = rulesOf({ jwks: keySet(rsa.jwk, ec.jwk) });
  const originals = [good, makeToken(claims, ec, { alg: 'ES256' })];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...originals),
      fc.nat(2),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (token, section, at, flip) => {
        const sections = token.split('.');
        const bytes = Buffer.from(sections[section] ?? '', 'base64url');
        const index = at % bytes.length;
        bytes[index] = (bytes[index] ?? 0) ^ flip;
        sections[section] = bytes.toString('base64url');
        expect((await authenticate(rules, bearer(sections.join('.')))).ok).toBe(false);
      },
    ),
    { numRuns: 300, seed: 11 },
  );
});

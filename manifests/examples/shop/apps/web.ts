// The shop's front end: logs customers in (its keys are made anew at each start) and checks out their carts.
import { generateKeyPairSync, sign } from 'node:crypto';

import { post, read, serve } from './http.ts';

const billing = process.env['BILLING_URL'] ?? 'http://billing.billing:8080';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const keyId = 'web-1';

serve('web', {
  'GET /': () => ({ status: 200, body: { shop: 'open', try: ['/login?user=ada', '/checkout'] } }),
  'GET /admin': () => ({ status: 200, body: { admin: 'you should never see this' } }),
  'GET /.well-known/jwks.json': () => ({
    status: 200,
    body: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: keyId, alg: 'ES256' }] },
  }),
  'GET /login': (_request, url) => ({
    status: 200,
    body: { token: token(url.searchParams.get('user') ?? 'ada') },
  }),
  'POST /checkout': async (request) =>
    post(`${billing}/invoices`, await read(request), request.headers),
});

function token(user: string): string {
  const now = Math.floor(Date.now() / 1000);
  const head = encode({ alg: 'ES256', kid: keyId, typ: 'JWT' });
  const claims = encode({ iss: 'https://shop.example', sub: user, iat: now, exp: now + 3600 });
  const signature = sign('sha256', Buffer.from(`${head}.${claims}`), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${head}.${claims}.${signature.toString('base64url')}`;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

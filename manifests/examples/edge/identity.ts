// An identity provider as small as can be: OpenID configuration, keys, token exchange, and checks of a session.
import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const issuer = 'http://identity.edge.svc.cluster.local';
const lifeSeconds = 300;
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const server = createServer((request, response) => {
  const path = new URL(request.url ?? '/', issuer).pathname;
  if (path === '/.well-known/openid-configuration') {
    json(response, 200, { issuer, jwks_uri: `${issuer}/keys`, token_endpoint: `${issuer}/token` });
  } else if (path === '/keys') {
    const key = publicKey.export({ format: 'jwk' });
    json(response, 200, { keys: [{ ...key, kid: '1', alg: 'ES256', use: 'sig' }] });
  } else if (path === '/token') {
    exchange(request, response).catch(() => response.destroy());
  } else if (path.startsWith('/verify/')) {
    verify(request, response);
  } else {
    json(response, 404, { error: 'not found' });
  }
});
const { PORT: port } = process.env;
server.listen(Number(port ?? 8080), port === undefined ? undefined : '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)));

/** RFC 8693: whoever is named gets a token for the audience, but mallory. */
async function exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  const form = new URLSearchParams(body);
  const subject = form.get('subject_token') ?? '';
  if (subject === 'mallory') {
    json(response, 400, { error: 'invalid_grant' });
    return;
  }
  json(response, 200, {
    access_token: tokenFor(subject, form.get('audience') ?? '', form.get('scope') ?? ''),
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: lifeSeconds,
  });
}

function tokenFor(sub: string, aud: string, scope: string): string {
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, sub, aud, scope, tenant: 'acme', iat, exp: iat + lifeSeconds };
  const parts = [{ alg: 'ES256', kid: '1' }, claims];
  const text = parts
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}

/** Who has a session is told to the application; others are sent to log in. */
function verify(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const user = /(?:^|; )session=([a-z]+)/.exec(request.headers.cookie ?? '')?.[1];
  if (user === undefined) response.writeHead(302, { location: 'https://login.example.com/' });
  else response.setHeader('x-user', user);
  response.end();
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

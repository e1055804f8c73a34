// Who may read the page: on loopback is every user of this machine, and every web page that a browser there shows.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Of one start: whoever was told the address has it. */
export function makeToken(): string {
  return randomBytes(24).toString('base64url');
}

export type Access =
  | { readonly kind: 'granted' }
  /** By the token in the address, which is to be kept in a cookie. */
  | { readonly kind: 'first' }
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string };

export function accessOf(request: IncomingMessage, url: URL, token: string, port: number): Access {
  const { host = '', cookie = '' } = request.headers;
  // A name of somebody else's that resolves to loopback (DNS rebinding).
  if (!new RegExp(`^(?:127\\.0\\.0\\.1|localhost|\\[::1\\]):${port}$`).test(host)) {
    return refused(403, 'This is no name of the dashboard: open the address that it printed.');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return refused(405, 'The dashboard is read-only: it takes GET.');
  }
  const given = url.searchParams.get('token');
  if (given !== null && isSame(given, token)) return { kind: 'first' };
  const kept = cookie
    .split(/;\s*/)
    .find((pair) => pair.startsWith(`${cookieName(port)}=`))
    ?.slice(cookieName(port).length + 1);
  if (kept !== undefined && isSame(kept, token)) return { kind: 'granted' };
  return refused(401, 'Open the address that the dashboard printed: it ends in ?token=…');
}

/** Never to other sites, never to scripts, gone with the browser. */
export function cookieOf(token: string, port: number): string {
  return `${cookieName(port)}=${token}; Path=/; HttpOnly; SameSite=Strict`;
}

/** Cookies are one jar for all ports of a host. */
function cookieName(port: number): string {
  return `selvage-dashboard-${port}`;
}

function refused(status: number, reason: string): Access {
  return { kind: 'refused', status, reason };
}

/** In the same time whatever is given. */
function isSame(given: string, token: string): boolean {
  return timingSafeEqual(digestOf(given), digestOf(token));
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

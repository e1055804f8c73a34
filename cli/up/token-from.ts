// A real token for a call of the scenario, asked for through the caller's own sidecar.
import { send } from './send.ts';

/**
 * @param outbound port of the caller's sidecar; null: the URL is asked for directly
 * @throws Error that says what the URL answered instead of `{ "token": … }`
 */
export async function tokenFrom(url: string, outbound: number | null): Promise<string> {
  const { hostname, port, pathname, search, host } = new URL(url);
  const reply = await send({
    host: outbound === null ? hostname : '127.0.0.1',
    port: outbound ?? Number(port || '80'),
    method: 'GET',
    target: outbound === null ? `${pathname}${search}` : url,
    headers: [['host', host]],
    timeoutMs: 10_000,
  });
  const token = tokenIn(reply.body);
  if (reply.status === 200 && token !== '') return token;
  const said = reply.status === 0 ? reply.failure : `${reply.status} ${reply.body.slice(0, 200)}`;
  throw new Error(`no token from ${url}: ${said}`);
}

function tokenIn(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== 'object' || value === null || !('token' in value)) return '';
    return typeof value.token === 'string' ? value.token : '';
  } catch {
    return '';
  }
}

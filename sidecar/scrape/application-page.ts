// Asks the application for its own metrics page, in what time and size there is.
import type { IncomingMessage } from 'node:http';

import { pageTypes, type PageFormat } from '../telemetry/exposition.ts';
import { PageError, PageReader } from './page-reader.ts';

export interface PageRequest {
  readonly url: URL;
  /** What the scraper takes. */
  readonly accept: string;
  readonly timeoutMs: number;
  /** See `PageReader`. */
  readonly taken: ReadonlySet<string>;
}

export interface ApplicationPage {
  readonly format: PageFormat;
  /** Content type of the whole, since the format is the application's choice. */
  readonly type: string;
  /** Valid lines, each ended; without `# EOF`. */
  readonly lines: string;
}

/** Of one page; Prometheus's own default is no limit, and ours is held in memory. */
export const pageBytesMax = 16 * 1024 * 1024;

const redirectsMax = 3;

/** @throws Error whose message completes the sentence "the application's page …" */
export async function fetchPage(wanted: PageRequest): Promise<ApplicationPage> {
  const { timeoutMs } = wanted;
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    return await ask(wanted, signal);
  } catch (error) {
    if (signal.aborted) throw new PageError(`was not there within ${timeoutMs} ms`);
    if (error instanceof PageError) throw error;
    throw new PageError(`cannot be had: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function ask(
  wanted: PageRequest,
  signal: AbortSignal,
  redirectsLeft = redirectsMax,
): Promise<ApplicationPage> {
  const { url, accept, taken } = wanted;
  const { promise, resolve, reject } = Promise.withResolvers<ApplicationPage>();
  // By getBuiltinModule: see runtime/admin.ts.
  const { get } =
    url.protocol === 'https:'
      ? process.getBuiltinModule('node:https')
      : process.getBuiltinModule('node:http');
  const headers = { accept, 'accept-encoding': 'identity', 'user-agent': 'selvage' };
  // On loopback nobody else answers, and a certificate names no loopback address.
  const call = get(url, { headers, agent: false, rejectUnauthorized: false, signal });
  const fail = (error: unknown): void => {
    reject(error);
    call.destroy();
  };
  call.on('error', reject);
  call.on('response', (response) => {
    response.on('error', reject);
    try {
      const next = redirectOf(response, url);
      if (next !== null && redirectsLeft > 0) {
        resolve(ask({ ...wanted, url: next }, signal, redirectsLeft - 1));
        call.destroy();
        return;
      }
      readPage(response, taken, resolve, fail);
    } catch (error) {
      fail(error);
    }
  });
  return promise;
}

/** As a scraper follows: `/metrics` often leads to `/metrics/`. @throws PageError for another place than the application */
function redirectOf({ statusCode = 0, headers }: IncomingMessage, from: URL): URL | null {
  const { location } = headers;
  if (![301, 302, 303, 307, 308].includes(statusCode) || location === undefined) return null;
  const to = URL.parse(location, from);
  if (to?.origin !== from.origin) throw new PageError(`leads away from ${from.origin}`);
  return to;
}

/** @throws PageError for a head that says it all */
function readPage(
  response: IncomingMessage,
  taken: ReadonlySet<string>,
  done: (page: ApplicationPage) => void,
  fail: (error: unknown) => void,
): void {
  const { statusCode, headers } = response;
  if (statusCode !== 200) throw new PageError(`has status ${statusCode}`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw new PageError(`is encoded (${encoding}), which nobody asked`);
  const kind = kindOf(headers['content-type'] ?? '');
  const reader = new PageReader(kind.format, taken);
  let bytes = 0;
  response.on('data', (part: Buffer) => {
    bytes += part.length;
    try {
      if (bytes > pageBytesMax) throw new PageError(`has more than ${pageBytesMax} bytes`);
      reader.push(part);
    } catch (error) {
      fail(error);
    }
  });
  response.on('end', () => {
    try {
      done({ ...kind, lines: reader.end() });
    } catch (error) {
      fail(error);
    }
  });
}

/** What calls itself neither is read as text, as Prometheus did for years: each line is looked at anyhow. */
function kindOf(contentType: string): { format: PageFormat; type: string } {
  const type = /^[\x20-\x7e]{1,256}$/.test(contentType) ? contentType : pageTypes.text;
  if (/^application\/openmetrics-text(?:[ ;]|$)/i.test(type))
    return { format: 'openmetrics', type };
  return { format: 'text', type: /^text\/plain(?:[ ;]|$)/i.test(type) ? type : pageTypes.text };
}

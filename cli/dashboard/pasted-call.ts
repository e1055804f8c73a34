// Reads a call that somebody pasted: a curl command, the head of a request, a line of an access log, a URL.
import { JsonFields } from '../cluster/json-fields.ts';
import { partOf } from './sidecar-answers.ts';
import { shellWords } from './shell-words.ts';

/** What was found of it; '' and empty where it says nothing. Credentials are cut, but for the claims of a token. */
export interface PastedCall {
  readonly from: string;
  /** `namespace/workload`. */
  readonly to: string;
  readonly port: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Claims as JSON, unverified. */
  readonly token: string;
}

type Header = readonly [name: string, value: string];

const nothing: PastedCall = {
  from: '',
  to: '',
  port: '',
  method: '',
  path: '',
  host: '',
  headers: [],
  token: '',
};

/** null: it is none of these. Never throws. */
export function readPastedCall(text: string): PastedCall | null {
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) return readJson(trimmed);
  if (/^curl\s/.test(trimmed)) return readCurl(trimmed);
  if (/^https?:\/\/\S+$/.test(trimmed)) return ofUrl(trimmed, { method: 'GET', headers: [] });
  return readHead(trimmed);
}

/** A CallRecord of `tap` or `why`, or a line of a sidecar's access log. */
function readJson(text: string): PastedCall | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const fields = new JsonFields(value);
  const [source, destination] = [partOf(value, 'source'), partOf(value, 'destination')];
  const principal = new JsonFields(source).text('principal') || fields.text('source_principal');
  const { namespace, workload } = {
    namespace: new JsonFields(destination).text('namespace'),
    workload: new JsonFields(destination).text('workload'),
  };
  const call: PastedCall = {
    ...nothing,
    from: principal.startsWith('spiffe:') ? principal : '',
    to: workload === '' ? '' : `${namespace}/${workload}`,
    port: fields.number('port')?.toString() ?? '',
    method: fields.text('method'),
    path: fields.text('path'),
    host: fields.text('authority'),
  };
  return call.method === '' && call.path === '' ? null : call;
}

function readHead(text: string): PastedCall | null {
  const [first = '', ...lines] = text.split(/\r?\n/);
  const [, method, target] =
    /^([A-Z]{1,32}) (\S+)(?: HTTP\/\d(?:\.\d)?)?$/.exec(first.trim()) ?? [];
  if (method === undefined || target === undefined) return null;
  const end = lines.findIndex((line) => line.trim() === '');
  const headers = headersOf(end === -1 ? lines : lines.slice(0, end));
  if (/^https?:\/\//.test(target)) return ofUrl(target, { method, headers });
  return withHeaders({ ...nothing, method, path: target }, headers);
}

/** Options of curl that take a value, of those that people use. */
const shortWithValue = /(?<!^)[XHdAbeuoxmFTwKcrCDEQtyYzPh]/;
const longWithValue =
  /^--(?:request|header|data(?:-\w+)?|json|user|user-agent|cookie|referer|output|proxy|max-time|connect-timeout|form|upload-file|write-out|url|cacert|cert|key|resolve|connect-to|retry|proxy-header|limit-rate|config|range|interface)$/;

function readCurl(text: string): PastedCall | null {
  const [, ...words] = shellWords(text);
  let method = '';
  let hasBody = false;
  let url = '';
  const lines: string[] = [];
  const take = (name: string, value: string): void => {
    if (name === 'X' || name === '--request') method = value;
    else if (name === 'H' || name === '--header') lines.push(value);
    else if (name === 'A' || name === '--user-agent') lines.push(`user-agent: ${value}`);
    else if (name === '--url') url ||= value;
    else if (/^(?:d|F|--data.*|--json|--form)$/.test(name)) hasBody = true;
  };
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word.startsWith('--')) {
      const [, name = word, value] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
      if (value !== undefined) take(name, value);
      else if (longWithValue.test(name)) take(name, words.shift() ?? '');
      else if (name === '--head') method ||= 'HEAD';
    } else if (/^-./.test(word)) {
      // Letters may stand together; what follows one that takes a value is its value.
      const at = word.search(shortWithValue);
      if (word.slice(1, at === -1 ? undefined : at).includes('I')) method ||= 'HEAD';
      if (at !== -1) take(word[at] ?? '', word.slice(at + 1) || (words.shift() ?? ''));
    } else url ||= word;
  }
  if (url === '') return null;
  const whole = /^https?:\/\//.test(url) ? url : `http://${url}`;
  return ofUrl(whole, { method: method || (hasBody ? 'POST' : 'GET'), headers: headersOf(lines) });
}

/** The path stays as it was written: dots and escapes are what policies are tried with. */
function ofUrl(
  url: string,
  rest: { method: string; headers: readonly Header[] },
): PastedCall | null {
  const [, authority, target = ''] = /^https?:\/\/([^/?#\s]+)([^#\s]*)/.exec(url) ?? [];
  if (authority === undefined) return null;
  const host = authority.replace(/^.*@/, '');
  const path = target.startsWith('/') ? target : `/${target}`;
  return withHeaders({ ...nothing, method: rest.method, path, host }, rest.headers);
}

function headersOf(lines: readonly string[]): Header[] {
  return lines.flatMap((line): Header[] => {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):\s*(.*)$/.exec(line.trim()) ?? [];
    return name === undefined || value === undefined ? [] : [[name.toLowerCase(), value]];
  });
}

/** The address of the page, with all that is in it, stays in the browser's history: no credential may. */
const credentials = /^(?:authorization|proxy-authorization|cookie|.*(?:api-?key|token|secret).*)$/;

function withHeaders(call: PastedCall, headers: readonly Header[]): PastedCall {
  const host = headers.find(([name]) => name === 'host')?.[1] ?? call.host;
  const bearer = headers.find(
    ([name, value]) => name === 'authorization' && /^bearer /i.test(value),
  );
  const kept = headers.filter(([name]) => name !== 'host' && !credentials.test(name));
  return { ...call, host, headers: kept, token: claimsOf(bearer?.[1] ?? '') };
}

function claimsOf(authorization: string): string {
  const [, payload] = /^bearer\s+[\w-]+\.([\w-]+)\.[\w-]*$/i.exec(authorization) ?? [];
  if (payload === undefined) return '';
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof claims === 'object' && claims !== null ? JSON.stringify(claims) : '';
  } catch {
    return '';
  }
}

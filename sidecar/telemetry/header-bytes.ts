// How many bytes the names and values of a head have, as Envoy counts them: without what stands between them.
import type { Exchange } from '../exchange.ts';
import { answerLines, type Lines } from './kept-answer.ts';

export function requestBytes({ request }: Exchange): number {
  const { method, path, authority, scheme } = request;
  const pseudo: Lines = [
    [':authority', authority],
    [':method', method],
    [':path', path],
    [':scheme', scheme],
  ];
  const lines = request.lines().filter(([name]) => name.toLowerCase() !== 'host');
  return bytesOf(pseudo.filter(([, value]) => value !== '')) + bytesOf(lines);
}

/** What is kept of it. */
export function answerBytes(x: Exchange): number {
  const status: Lines = x.status === 0 ? [] : [[':status', String(x.status)]];
  return bytesOf(status) + bytesOf(answerLines(x));
}

function bytesOf(lines: Lines): number {
  return lines.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
}

// Writes requests that are right or nearly so, each part drawn from what servers are known to read differently.
import { lineEnds, lineNames, lineValues, nameGaps } from './pieces.ts';
import type { Random } from './random.ts';

const methods =
  'GET GET POST POST POST PUT HEAD OPTIONS DELETE PATCH TRACE CONNECT PRI get FOO'.split(' ');
const targets = [
  '/',
  '/a?b=c',
  '/a/../b',
  '//a',
  '/a%2fb',
  '/%41',
  '*',
  'http://a/b',
  'http://b',
  'https://a:443/c?d',
  'HTTP://A/',
  'ftp://a/',
  'a:80',
  'a',
  '/a#b',
  '/a\\b',
  '/a;b=c',
  '/\xe4',
  '?a',
];
const versions = [
  ' HTTP/1.1',
  ' HTTP/1.0',
  ' HTTP/1.2',
  ' HTTP/0.9',
  ' HTTP/2.0',
  ' HTTP/01.1',
  '',
];
const sizes = ['0', '3', '3', '5', '03', '0003', 'a', 'A', '3 ', ' 3', '0x3', '+3', '-3', ''];
const extensions = [
  '',
  '',
  '',
  ';a',
  ';a=b',
  ';a="b"',
  ' ;a',
  ';',
  ';a=\n',
  ';\r',
  ';a="\r\n',
  ' ',
];
const trailers = [
  '',
  '',
  'T: x\r\n',
  'Content-Length: 3\r\n',
  'Host: b\r\n',
  'A:b\n',
  ' x: y\r\n',
  ':\r\n',
];

/** One connection's bytes: one to four requests. */
export function writeRequests(random: Random): string {
  let text = '';
  for (let left = 1 + random.below(4); left > 0; left--) text += writeRequest(random);
  return text;
}

/** A request with a chunked body, which is where all the oddness is. */
export function writeChunkedRequest(random: Random): string {
  return `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks(random)}`;
}

function writeRequest(random: Random): string {
  const framing = random.below(6);
  const body = 'abcde'.slice(0, random.below(6));
  const lines = [`Host${gap(random)}${random.once(12) ? random.pick(lineValues) : 'a'}`];
  if (framing >= 1 && framing <= 2)
    lines.push(`Content-Length${gap(random)}${length(random, body)}`);
  if (framing === 3) lines.push(`Transfer-Encoding${gap(random)}chunked`);
  if (random.once(2)) lines.push(oddLine(random));
  if (random.once(6)) lines.push(oddLine(random));
  if (random.once(3)) lines.push('X: y');
  let text = random.once(30) ? '\r\n' : '';
  text += `${random.once(4) ? random.pick(methods) : 'POST'} `;
  text += random.once(3) ? random.pick(targets) : '/';
  text += `${random.once(12) ? random.pick(versions) : ' HTTP/1.1'}${end(random)}`;
  while (lines.length > 0) {
    const [line = ''] = lines.splice(random.below(lines.length), 1);
    text += line + end(random);
  }
  text += end(random);
  if (framing === 0 || framing > 3) return random.once(8) ? text + body : text;
  return text + (framing === 3 ? chunks(random) : body);
}

/** A length that is right three times in four. */
function length(random: Random, body: string): string {
  return random.once(4) ? random.pick(lineValues) : String(body.length);
}

function chunks(random: Random): string {
  let text = '';
  for (let left = random.below(3); left > 0; left--) {
    const size = random.once(5) ? random.pick(sizes) : '3';
    text += `${size}${random.once(4) ? random.pick(extensions) : ''}${end(random)}abc${end(random)}`;
  }
  const extension = random.once(8) ? random.pick(extensions) : '';
  const trailer = random.once(4) ? random.pick(trailers) : '';
  return `${text}${random.once(12) ? '00' : '0'}${extension}${end(random)}${trailer}${end(random)}`;
}

/** Any header in any spelling, half of them as they should be. */
function oddLine(random: Random): string {
  const line = `${random.pick(lineNames)}${gap(random)}${random.pick(lineValues)}`;
  return random.once(10) ? ` ${line}` : line;
}

function gap(random: Random): string {
  return random.once(12) ? random.pick(nameGaps) : ': ';
}

function end(random: Random): string {
  return random.once(40) ? random.pick(lineEnds) : '\r\n';
}

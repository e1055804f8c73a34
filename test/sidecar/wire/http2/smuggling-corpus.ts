// Attacks on a proxy that takes HTTP/2 and speaks HTTP/1.1 or HTTP/2 onwards: what is sent, byte by byte.
import { block, flags, frame, frames } from './raw-client.ts';
import type { Fields } from './raw-client.ts';

/**
 * `refused`: no request reaches the application. `passes`: exactly one does, with exactly the body
 * that was sent. `either`: one or none. `late`: it is refused at its first byte too many, when what its
 * length says may have gone on. What an attack injects is always called `evil`.
 */
export type Verdict = 'refused' | 'passes' | 'either' | 'late';

export interface Attack {
  readonly name: string;
  readonly verdict: Verdict;
  /** Content of the DATA frames; of `late`, what the length says of it. */
  readonly body: string;
  frames(id: number): Buffer;
}

/** A request that hides where a body is expected. */
export const hidden = 'GET /evil HTTP/1.1\r\nhost: payments\r\n\r\n';
const { endStream, endHeaders, padded } = flags;

/** Fields of an ordinary request, some of them changed or left out (null). */
export function request(change: Readonly<Record<string, string | null>> = {}): Fields {
  const pseudo = { ':method': 'POST', ':scheme': 'http', ':authority': 'payments', ':path': '/a' };
  return Object.entries({ ...pseudo, ...change }).filter(
    (field): field is [string, string] => field[1] !== null,
  );
}

function sent(
  name: string,
  verdict: Verdict,
  fields: Fields,
  body: string | null = null,
  trailers: Fields | null = null,
): Attack {
  return {
    name,
    verdict,
    body: body ?? '',
    frames: (id) => {
      const alone = body === null && trailers === null;
      const parts = [head(id, fields, alone)];
      if (body !== null) {
        const ends = trailers === null ? endStream : 0;
        parts.push(frame(frames.data, ends, id, body));
      }
      if (trailers !== null) parts.push(head(id, trailers, true));
      return Buffer.concat(parts);
    },
  };
}

function head(id: number, fields: Fields, ends: boolean): Buffer {
  return frame(frames.headers, endHeaders | (ends ? endStream : 0), id, block(fields));
}

/** How a test shows bytes in a name. */
function shown(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

const lengths: Attack[] = [
  ['no length at all', null, 'passes'],
  ['the right length', String(hidden.length), 'passes'],
  ['too long', String(hidden.length + 10), 'refused'],
  ['a list', `${hidden.length}, ${hidden.length}`, 'refused'],
  ['a list with 0', `0, ${hidden.length}`, 'refused'],
  ['signed', `+${hidden.length}`, 'refused'],
  ['negative', '-1', 'refused'],
  ['hexadecimal', `0x${hidden.length.toString(16)}`, 'refused'],
  ['a fraction', `${hidden.length}.0`, 'refused'],
  ['an exponent', '4e1', 'refused'],
  ['empty', '', 'refused'],
  ['a blank before', ` ${hidden.length}`, 'refused'],
  ['a blank after', `${hidden.length} `, 'refused'],
  ['more than 64 bits', `18446744073709551616${hidden.length}`, 'refused'],
  ['2 to the 32 more', String(2 ** 32 + hidden.length), 'refused'],
  ['2 to the 64 more', String(2n ** 64n + BigInt(hidden.length)), 'refused'],
  ['a second line inside', `0\r\ncontent-length: ${hidden.length}`, 'refused'],
].map(([name, value, verdict]) =>
  sent(
    `H2.CL: ${name}`,
    verdict as Verdict,
    request({ 'content-length': value as string | null }),
    hidden,
  ),
);

const moreLengths: Attack[] = [
  { ...sent('H2.CL: 0', 'late', request({ 'content-length': '0' }), hidden), body: '' },
  { ...sent('H2.CL: too short', 'late', request({ 'content-length': '3' }), hidden), body: 'GET' },
  sent(
    'H2.CL: two of the same',
    'refused',
    [
      ...request(),
      ['content-length', String(hidden.length)],
      ['content-length', String(hidden.length)],
    ],
    hidden,
  ),
  sent(
    'H2.CL: two that differ',
    'refused',
    [...request(), ['content-length', '0'], ['content-length', String(hidden.length)]],
    hidden,
  ),
  sent('H2.CL: a length and no body', 'refused', request({ 'content-length': '40' })),
  sent('H2.CL: a body of GET', 'passes', request({ ':method': 'GET' }), hidden),
  sent('H2.CL: a body of HEAD', 'either', request({ ':method': 'HEAD' }), hidden),
  {
    ...sent(
      'H2.CL: a body of GET whose length is 0',
      'late',
      request({ ':method': 'GET', 'content-length': '0' }),
      hidden,
    ),
    body: '',
  },
  sent('H2.CL: too short, then trailers', 'refused', request({ 'content-length': '100' }), hidden, [
    ['x-end', '1'],
  ]),
  sent('H2.CL: no length, with Expect', 'passes', request({ expect: '100-continue' }), hidden),
  sent(
    'H2.CL: a body that looks like the end of chunks',
    'passes',
    request(),
    `0\r\n\r\n${hidden}`,
  ),
  sent('H2.CL: no length, an empty body', 'passes', request(), ''),
  {
    name: 'H2.CL: DATA after the end',
    verdict: 'either',
    body: '',
    frames: (id) =>
      Buffer.concat([head(id, request(), true), frame(frames.data, endStream, id, hidden)]),
  },
  {
    name: 'H2.CL: the length counts the padding',
    verdict: 'refused',
    body: hidden,
    frames: (id) => {
      const size = String(hidden.length + 11);
      const bytes = Buffer.concat([
        Buffer.from([10]),
        Buffer.from(hidden),
        Buffer.from('evil: 1\r\n\r\n').subarray(0, 10),
      ]);
      return Buffer.concat([
        head(id, request({ 'content-length': size }), false),
        frame(frames.data, endStream | padded, id, bytes),
      ]);
    },
  },
  {
    name: 'padding is no content',
    verdict: 'passes',
    body: 'abc',
    frames: (id) =>
      Buffer.concat([
        head(id, request(), false),
        frame(frames.data, endStream | padded, id, '\x07abcevil: 1'),
      ]),
  },
];

const codings: Attack[] = [
  ...['chunked', 'identity', 'gzip, chunked', 'Chunked', 'chunked\0', ''].flatMap((value) => [
    sent(
      `H2.TE: ${shown(value)}`,
      'refused',
      request({ 'transfer-encoding': value }),
      `0\r\n\r\n${hidden}`,
    ),
    sent(
      `H2.TE beside a length: ${shown(value)}`,
      'refused',
      request({ 'content-length': '5', 'transfer-encoding': value }),
      '0\r\n\r\n',
    ),
  ]),
  ...[
    'Transfer-Encoding',
    'transfer-encoding ',
    ' transfer-encoding',
    'transfer-encoding\t',
    'transfer-encoding:',
    'transfer-encoding\0',
    'x\r\ntransfer-encoding',
    'x\ntransfer-encoding',
    'x: y\r\ntransfer-encoding',
    'transfer-encoding: chunked\r\nx',
  ].map((name) =>
    sent(
      `H2.TE by name ${shown(name)}`,
      'refused',
      request({ [name]: 'chunked' }),
      `0\r\n\r\n${hidden}`,
    ),
  ),
  ...[
    'x\r\ntransfer-encoding: chunked',
    'x\ntransfer-encoding: chunked',
    'x\rtransfer-encoding: chunked',
  ].map((value) =>
    sent(`H2.TE by value ${shown(value)}`, 'refused', request({ x: value }), `0\r\n\r\n${hidden}`),
  ),
  sent('te: gzip', 'refused', request({ te: 'gzip' })),
  sent('te: a list', 'refused', request({ te: 'trailers, chunked' })),
  sent('te: trailers', 'passes', request({ te: 'trailers' }), hidden),
];

const connections: Attack[] = [
  ['connection', 'close'],
  ['connection', 'content-length'],
  ['connection', 'upgrade'],
  ['connection', ''],
  ['keep-alive', 'timeout=5'],
  ['proxy-connection', 'keep-alive'],
  ['upgrade', 'websocket'],
  ['upgrade', 'h2c'],
].map(([name = '', value = '']) =>
  sent(`${name}: ${value}`, 'refused', request({ [name]: value }), hidden),
);

const bytes = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  '\x0b',
  '\x7f',
  '\x80',
  '\xff',
  '"',
  '(',
  ',',
  '@',
];
const names: Attack[] = [
  ...bytes.map((byte) =>
    sent(`a name with ${shown(byte)}`, 'refused', request({ [`x${byte}evil`]: '1' })),
  ),
  ...[
    'X-Evil',
    'x-Evil',
    '',
    ':',
    ': evil',
    'evil: 1\r\nx',
    'x: 1\r\n\r\nGET /evil HTTP/1.1\r\ny',
  ].map((name) => sent(`the name ${shown(name)}`, 'refused', request({ [name]: '1' }))),
];

const values: Attack[] = [
  'x\revil: 1',
  'x\nevil: 1',
  'x\r\nevil: 1',
  `x\r\n\r\n${hidden}`,
  `x\n\n${hidden}`,
  'x\r\n evil: 1',
  'x\0evil: 1',
  '\r\nevil: 1',
  'x\r\n',
  'x\n',
  'x\r',
  ' x',
  '\tx',
  'x ',
  'x\t',
  'x\x7f',
  'x\x01',
  'x\x0bevil',
].flatMap((value) => [
  sent(`the value ${shown(value)}`, 'refused', request({ 'x-any': value }), hidden),
  sent(`the cookie ${shown(value)}`, 'refused', [
    ...request(),
    ['cookie', 'a=b'],
    ['cookie', value],
  ]),
]);

/** Pseudo-header fields with what no request line may have. */
const lines: Attack[] = [
  ...[
    '/ HTTP/1.1\r\nevil: 1\r\n\r\nGET /evil',
    '/a b',
    '/a\tb',
    '/a\r\nevil: 1',
    '/a\nevil: 1',
    '/a\revil',
    '/a\0',
    '/a\x7f',
    '/\x80',
    '',
    'a',
    'evil/a',
    '@evil/',
    'http://evil/a',
    '*',
    '?a',
    ' /a',
    '/a ',
  ].map((value) => sent(`:path ${shown(value)}`, 'refused', request({ ':path': value }), hidden)),
  ...[
    'GET / HTTP/1.1\r\nHost: x\r\nevil',
    'GET /evil HTTP/1.1\r\nx:',
    'GET /evil',
    'GE T',
    'GET\r\n',
    'GET\n',
    'GET\t',
    ' GET',
    'G\0T',
    'G:T',
    'G\x80T',
    '',
    '()',
  ].map((value) =>
    sent(`:method ${shown(value)}`, 'refused', request({ ':method': value }), hidden),
  ),
  ...[
    'payments/evil',
    'payments\\evil',
    'payments?evil',
    'payments#evil',
    'payments evil',
    'payments\tevil',
    'payments\r\nevil: 1',
    'payments\nevil: 1',
    'payments\0',
    'payments, evil',
    'payments\x80',
    'payments<',
    ' payments',
    'payments ',
    '',
  ].map((value) =>
    sent(`:authority ${shown(value)}`, 'refused', request({ ':authority': value }), hidden),
  ),
  ...['http://evil/', 'ftp', 'http\r\nevil: 1', 'http ', 'HTTP', '', 'http:'].map((value) =>
    sent(`:scheme ${shown(value)}`, 'refused', request({ ':scheme': value }), hidden),
  ),
];

const pseudo: Attack[] = [
  // Not ours to refuse, as in HTTP/1.1: Envoy lets policies see it. To a service it leads nowhere.
  ...['evil@payments', 'payments@evil'].flatMap((value) => [
    sent(`:authority ${shown(value)}`, 'either', request({ ':authority': value }), hidden),
    sent(
      `Host alone, ${shown(value)}`,
      'either',
      request({ ':authority': null, host: value }),
      hidden,
    ),
  ]),
  ...request().map(([name, value]) =>
    sent(`${name} twice`, 'refused', [...request(), [name, value]]),
  ),
  ...request().map(([name]) =>
    sent(`${name} twice, differing`, 'refused', [
      ...request(),
      [name, name === ':scheme' ? 'https' : '/evil'],
    ]),
  ),
  ...request().map(([name, value]) =>
    sent(`${name} after a field`, 'refused', [
      ...request({ [name]: null }),
      ['x', 'y'],
      [name, value],
    ]),
  ),
  ...request()
    .filter(([name]) => name !== ':authority')
    .map(([name]) => sent(`no ${name}`, 'refused', request({ [name]: null }))),
  sent('an unknown pseudo-header field', 'refused', request({ ':evil': '1' })),
  sent(':status in a request', 'refused', request({ ':status': '200' })),
  sent(
    'upper case in a pseudo-header field',
    'refused',
    request({ ':Path': '/evil', ':path': null }),
  ),
  sent(':protocol without CONNECT', 'refused', request({ ':protocol': 'websocket' })),
  sent(':protocol with a line end', 'refused', [
    ...request({ ':method': 'CONNECT' }),
    [':protocol', 'websocket\r\nevil: 1'],
  ]),
  sent('CONNECT with a path', 'refused', request({ ':method': 'CONNECT' })),
  sent(
    'extended CONNECT whose length promises a body',
    'refused',
    [
      ...request({ ':method': 'CONNECT' }),
      [':protocol', 'websocket'],
      ['content-length', String(hidden.length)],
    ],
    hidden,
  ),
  sent('Host that disagrees', 'refused', request({ host: 'evil' })),
  sent('Host that disagrees by its port', 'refused', request({ host: 'payments:81' })),
  sent('two of Host', 'refused', [...request(), ['host', 'payments'], ['host', 'evil']]),
  sent('two of Host that agree', 'refused', [
    ...request(),
    ['host', 'payments'],
    ['host', 'payments'],
  ]),
  sent('Host that agrees', 'passes', request({ host: 'payments' }), hidden),
  sent('Host alone', 'passes', request({ ':authority': null, host: 'payments' }), hidden),
  sent('no name at all', 'refused', request({ ':authority': null })),
];

const trailers: Attack[] = [
  ...(
    [
      [':path', '/evil'],
      [':status', '200'],
      ['X-Evil', '1'],
      ['x\r\nevil', '1'],
      ['x: 1\r\n\r\nGET /evil HTTP/1.1\r\ny', '1'],
      ['x-a', '1\r\nevil: 1'],
      ['x-a', `1\r\n\r\n${hidden}`],
      ['x-a', '1\0'],
      ['x-a', ' 1'],
      ['', '1'],
    ] as const
  ).map(([name, value]) =>
    sent(`trailer ${shown(name)}: ${shown(value)}`, 'refused', request(), 'abc', [[name, value]]),
  ),
  ...(['content-length', 'transfer-encoding', 'host', 'connection', 'te'] as const).map((name) =>
    sent(`trailer ${name}`, 'either', request(), 'abc', [
      [name, name === 'content-length' ? '40' : 'evil'],
    ]),
  ),
  sent('trailers alone', 'passes', request(), null, [['x-end', '1']]),
  sent('trailers after a body', 'passes', request(), hidden, [['x-end', '1']]),
  {
    name: 'a second head that does not end the stream',
    verdict: 'refused',
    body: '',
    frames: (id) =>
      Buffer.concat([head(id, request(), false), head(id, request({ ':path': '/evil' }), false)]),
  },
  {
    name: 'a second head that ends the stream',
    verdict: 'refused',
    body: '',
    frames: (id) =>
      Buffer.concat([head(id, request(), false), head(id, request({ ':path': '/evil' }), true)]),
  },
];

const sizes: Attack[] = [
  {
    name: 'a head of 200 kB in pieces',
    verdict: 'refused',
    body: '',
    frames: (id) => {
      const whole = block([...request(), ['x-big', 'b'.repeat(200_000)]]);
      const parts: Buffer[] = [];
      for (let at = 0; at < whole.length; at += 16_000) {
        const type = at === 0 ? frames.headers : frames.continuation;
        const last = at + 16_000 >= whole.length ? endHeaders : 0;
        const first = at === 0 ? endStream : 0;
        parts.push(frame(type, last | first, id, whole.subarray(at, at + 16_000)));
      }
      return Buffer.concat(parts);
    },
  },
  sent('1,000 fields', 'refused', [
    ...request(),
    ...Array.from({ length: 1000 }, (_, i) => [`x-${i}`, '1'] as const),
  ]),
  {
    name: 'a bomb of references',
    verdict: 'refused',
    body: '',
    frames: (id) => {
      // One field of 3 kB put into the table, then named 5,000 times (RFC 7541 6.1).
      const literal = Buffer.from(block([['x-bomb', 'b'.repeat(3000)]]));
      literal[0] = 0x40;
      const all = Buffer.concat([block(request()), literal, Buffer.alloc(5000, 0x80 | 62)]);
      return frame(frames.headers, endHeaders | endStream, id, all);
    },
  },
  {
    name: 'a head that another frame interrupts',
    verdict: 'refused',
    body: '',
    frames: (id) =>
      Buffer.concat([
        frame(frames.headers, 0, id, block(request({ ':path': '/evil' }))),
        frame(frames.data, endStream, id, hidden),
        frame(frames.continuation, endHeaders, id, block([['evil', '1']])),
      ]),
  },
  {
    name: 'CONTINUATION of another stream',
    verdict: 'refused',
    body: '',
    frames: (id) =>
      Buffer.concat([
        frame(frames.headers, endStream, id, block(request())),
        frame(frames.continuation, endHeaders, id + 2, block([['evil', '1']])),
      ]),
  },
  {
    name: 'HTTP/1.1 after the preface',
    verdict: 'refused',
    body: '',
    frames: () => Buffer.from(hidden),
  },
];

export const attacks: readonly Attack[] = [
  ...lengths,
  ...moreLengths,
  ...codings,
  ...connections,
  ...names,
  ...values,
  ...lines,
  ...pseudo,
  ...trailers,
  ...sizes,
];

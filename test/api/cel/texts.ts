// Texts that are CEL, nearly CEL, or noise.
import * as fc from 'fast-check';

const leaves = fc.constantFrom(
  '1',
  '2u',
  '1.5',
  "'a'",
  'b"x"',
  'true',
  'null',
  'request.path',
  'request.headers',
  "request.headers['a']",
  'response.code',
  'response',
  'connection.mtls',
  'request.time',
  'request.duration',
  'filter_state.downstream_peer.app',
  "duration('1s')",
  '[1, 2]',
  "{'a': 1}",
  'x',
);

const wellFormed = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    leaves,
    fc
      .tuple(
        tie('node'),
        fc.constantFrom(...'+ - * / % == != < <= > >= in && ||'.split(' ')),
        tie('node'),
      )
      .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
    fc.tuple(tie('node'), tie('node'), tie('node')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
    fc.tuple(fc.constantFrom('!', '-'), tie('node')).map(([operator, a]) => `${operator}${a}`),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => `${a}[${b}]`),
    fc
      .tuple(
        fc.constantFrom(
          'size',
          'int',
          'uint',
          'double',
          'string',
          'bool',
          'bytes',
          'type',
          'timestamp',
          'duration',
          'dyn',
        ),
        tie('node'),
      )
      .map(([name, a]) => `${name}(${a})`),
    fc
      .tuple(
        tie('node'),
        fc.constantFrom('startsWith', 'endsWith', 'contains', 'getHours'),
        tie('node'),
      )
      .map(([a, name, b]) => `${a}.${name}(${b})`),
    fc
      .tuple(
        tie('node'),
        fc.constantFrom('all', 'exists', 'exists_one', 'map', 'filter'),
        tie('node'),
      )
      .map(([a, name, b]) => `${a}.${name}(x, ${b})`),
  ),
})).node;

const pieces = fc
  .array(
    fc.oneof(
      leaves,
      fc.constantFrom(
        ...'( ) [ ] { } . , ? : ! - + && || == in has( .all(x,'.split(' '),
        '"""',
        "r'",
        '\\',
        '//',
        '\n',
        '9007199254740992',
      ),
    ),
    { maxLength: 30 },
  )
  .map((list) => list.join(''));

export const celTexts = fc.oneof(wellFormed, pieces, fc.string({ unit: 'binary', maxLength: 60 }));

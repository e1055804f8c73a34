import { expect, test } from 'vitest';

import { ruleText } from '#cli/dashboard/policy-lines.ts';

test('a rule is a line', () => {
  expect(
    ruleText({
      from: [
        { source: { principals: ['a', 'b'], notNamespaces: ['c'] } },
        { source: { ipBlocks: ['10.0.0.0/8'] } },
      ],
      to: [{ operation: { methods: ['GET', 'POST'], paths: ['/x'], hosts: ['h'] } }],
      when: [
        { key: 'request.headers[x]', values: ['1'] },
        { key: 'source.ip', notValues: ['::1'] },
      ],
    }),
  ).toBe(
    'from principals a or b, not namespaces c; or ip blocks 10.0.0.0/8 · to GET or POST /x, hosts h · when request.headers[x] is 1 and source.ip is not ::1',
  );
  expect(ruleText({})).toBe('from anybody');
});

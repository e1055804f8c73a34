import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { customResourceDefinitions } from '#api/crd/definition.ts';
import { loadText } from '#api/load.ts';

function load(spec: string): ReturnType<typeof loadText> {
  const text = `apiVersion: selvage.dev/v1alpha1
kind: Transformation
metadata: { name: edits, namespace: shop }
spec: ${spec}
`;
  return loadText(text, 'edits.yaml');
}

const edit = 'request: { headers: { remove: [x] } }';

test('what is left out has its defaults', () => {
  const { resources, problems } = load(
    '{ rules: [{ request: { json: { remove: [a] }, path: { replacePrefix: { prefix: /v1 } } } }] }',
  );
  expect(problems).toEqual([]);
  expect(resources[0]).toMatchObject({
    spec: {
      maxBodyBytes: 1_048_576,
      rules: [
        {
          request: {
            json: { remove: ['a'], whenUnreadable: 'pass' },
            path: { replacePrefix: { prefix: '/v1', with: '' } },
          },
        },
      ],
    },
  });
});

test('a rule may transcode and do nothing else', () => {
  const rule = '{ grpcJson: { descriptorSet: aaaa, services: [shop.v1.Orders] } }';
  const { resources, problems } = load(`{ rules: [${rule}] }`);
  expect(problems).toEqual([]);
  expect(resources[0]).toMatchObject({ spec: { rules: [{ grpcJson: { ignoreUnknown: false } }] } });
});

test.each([
  ['no edit', '', 'a rule without an edit does nothing'],
  ['an empty list of matches', `match: [], ${edit}`, 'would mean everything'],
  ['an empty match', `match: [{}], ${edit}`, 'would mean everything'],
  ['an empty list in a match', `match: [{ methods: [] }], ${edit}`, 'it has no value'],
  ['an empty value in a match', `match: [{ methods: [""] }], ${edit}`, 'a value is empty'],
  ['a bad template', `match: [{ paths: ["/a{*}"] }], ${edit}`, 'brace'],
  ['a template in the air', `match: [{ paths: ["a/{*}"] }], ${edit}`, 'begins with /'],
  ['a bad header in a match', `match: [{ headers: { "a b": [x] } }], ${edit}`, 'no header name'],
  ['headers without an edit', 'request: { headers: {} }', 'it edits nothing'],
  ['a bad header', 'response: { headers: { set: { "a b": x } } }', '"a b" is no header name'],
  ['framing', 'request: { headers: { remove: [Content-Length] } }', 'belongs to the connection'],
  ['a line break', 'response: { headers: { add: { a: "x\\ny" } } }', 'line breaks'],
  ['no base64', 'grpcJson: { descriptorSet: "{}", services: [a.B] }', 'is no base64'],
  ['no service', 'grpcJson: { descriptorSet: aaaa, services: ["/a.B"] }', 'is no full name'],
  ['a service twice', 'grpcJson: { descriptorSet: aaaa, services: [a.B, a.B] }', 'is there twice'],
  ['no edit of a path', 'request: { path: {} }', 'a path has one edit'],
  [
    'two edits of a path',
    'request: { path: { replaceFull: /a, replacePrefix: { prefix: /b } } }',
    'a path has one edit',
  ],
  ['a path with a query', 'request: { path: { replaceFull: "/a?b" } }', 'what no path may have'],
  ['a path without a slash', 'request: { path: { replaceFull: a } }', 'begins with a slash'],
  [
    'a prefix without a slash',
    'request: { path: { replacePrefix: { prefix: a } } }',
    'begins with a slash',
  ],
  ['a query without an edit', 'request: { query: {} }', 'it edits nothing'],
  ['a parameter without a name', 'request: { query: { set: { "": x } } }', 'may not be empty'],
  ['JSON without an edit', 'request: { json: {} }', 'it edits nothing'],
  ['a path of a field', 'response: { json: { remove: ["a[0]"] } }', 'is no path of a field'],
  [
    'a root that is none',
    'response: { convert: { to: xml, root: "a b" } }',
    'no name of an element',
  ],
  [
    'a field twice',
    'response: { json: { remove: [a], rename: [{ from: a, to: b }] } }',
    'is edited twice',
  ],
])('%s is told', (_, rule, words) => {
  const { problems, resources } = load(`{ rules: [{ ${rule} }] }`);
  expect(resources).toEqual([]);
  expect(problems.map(({ message }) => message).join('\n')).toContain(words);
  expect(problems[0]).toMatchObject({ line: 4, resource: 'Transformation shop/edits' });
});

test.each([
  [
    'selector and target',
    'selector: { matchLabels: { a: b } }, targetRefs: [{ kind: Service, name: x }]',
    'only one of selector and targetRefs',
  ],
  [
    'a target that is no Service',
    'targetRefs: [{ kind: Gateway, group: gateway.networking.k8s.io, name: x }]',
    'a Transformation is attached to Services',
  ],
])('%s is refused', (_, attachment, words) => {
  const { problems, resources } = load(`{ ${attachment}, rules: [{ ${edit} }] }`);
  expect(resources).toEqual([]);
  expect(problems.map(({ message }) => message).join('\n')).toContain(words);
});

test('whatever is written, it is taken or refused with a place, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), (value, text) => {
      const specs = [
        value,
        { rules: [value] },
        { rules: [{ request: { json: { remove: [text] }, path: value, query: value } }] },
      ];
      for (const spec of specs) {
        const { resources, problems } = load(JSON.stringify(spec));
        expect(resources.length === 1 || problems.some((p) => p.severity === 'error')).toBe(true);
      }
    }),
  );
});

test('the CRD is of our own group and asks for one edit of a path', () => {
  const crd = customResourceDefinitions().find(
    ({ metadata }) => metadata.name === 'transformations.selvage.dev',
  );
  expect(crd?.spec).toMatchObject({ group: 'selvage.dev', names: { kind: 'Transformation' } });
  expect(JSON.stringify(crd)).toContain('a path has one edit');
});

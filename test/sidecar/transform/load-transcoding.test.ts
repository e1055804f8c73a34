// What transcodes is loaded by the first snapshot that wants it, and by no other.
import { expect, test } from 'vitest';

import { compileTransforms } from '#sidecar/transform/compile.ts';
import { prepareTranscoding } from '#sidecar/transform/load-transcoding.ts';
import { noRegexes } from '#sidecar/routing/regex.ts';

import { snapshotOf } from '../rig.ts';
import { setOf } from './descriptor-sets.ts';

const set = setOf(
  'syntax = "proto3"; package a; message M { repeated M more = 1; string s = 2; }',
  {
    package: 'a',
    service: {
      name: 'S',
      method: ['/x/{more}', '/x/{nope}', '/x/{s', '/x/{s}'].map((path, i) => ({
        name: `M${i}`,
        inputType: '.a.M',
        outputType: '.a.M',
        options: { http: { get: path } },
      })),
    },
  },
);

function snapshot(rule: string) {
  const head = 'apiVersion: selvage.dev/v1alpha1\nkind: Transformation\n';
  const meta = 'metadata: { name: a, namespace: shop }\n';
  return snapshotOf({ policies: `${head}${meta}spec: { rules: [${rule}] }\n` });
}

test('before it is wanted, while it is not there, and with bindings that cannot be', async () => {
  expect(prepareTranscoding(snapshot('{ request: { headers: { remove: [a] } } }'))).toBeNull();
  const services = 'services: [a.S]';
  const wanted = snapshot(
    `{ grpcJson: { descriptorSet: "${set.bytes.toString('base64')}", ${services} } }`,
  );
  const problems = () => compileTransforms(wanted.extensions, noRegexes)?.problems;
  expect(problems()).toEqual([
    'Transformation shop/a rules[0]: grpcJson: what transcodes is not loaded',
  ]);
  await prepareTranscoding(wanted);
  expect(prepareTranscoding(wanted)).toBeNull();
  expect(problems()).toEqual([
    'Transformation shop/a rules[0]: grpcJson: a.S.M0: more is a message: only its fields can be set so',
    'Transformation shop/a rules[0]: grpcJson: a.S.M1: a.M has no field nope',
    'Transformation shop/a rules[0]: grpcJson: a.S.M2: the path "/x/{s" has a { without its }',
  ]);
});

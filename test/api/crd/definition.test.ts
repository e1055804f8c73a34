// CRDs: every field is explained, one version is stored, and additions that have no place are told.
import { expect, test } from 'vitest';

import { customResourceDefinitions } from '#api/crd/definition.ts';
import { type JsonSchema, openApiSchema } from '#api/crd/schema.ts';
import { peerAuthenticationSpec } from '#api/kinds/peer-authentication.ts';

interface Spec {
  readonly versions: readonly {
    readonly name: string;
    readonly storage: boolean;
    readonly schema: { readonly openAPIV3Schema: JsonSchema };
  }[];
}

const definitions = customResourceDefinitions().map(
  (one) => [one.metadata.name, one.spec as Spec] as const,
);

test.each(definitions)('%s stores exactly one version', (_name, { versions }) => {
  expect(versions.filter(({ storage }) => storage)).toHaveLength(1);
});

test.each(definitions)('%s explains every field', (_name, { versions }) => {
  const spec = versions[0]?.schema.openAPIV3Schema.properties?.['spec'];
  expect(spec === undefined ? ['spec'] : unexplained(spec, '')).toEqual([]);
});

test('an addition to a field that is not there is told', () => {
  const additions = new Map([['portLevel', { maxProperties: 1 }]]);
  expect(() => openApiSchema(peerAuthenticationSpec, additions)).toThrow(
    'no field is at portLevel',
  );
});

function unexplained(schema: JsonSchema, path: string): string[] {
  return [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, child]) => [
      ...(child.description === undefined ? [`${path}.${name}`] : []),
      ...unexplained(child, `${path}.${name}`),
    ]),
    ...(schema.items ? unexplained(schema.items, `${path}[]`) : []),
    ...(schema.additionalProperties ? unexplained(schema.additionalProperties, `${path}{}`) : []),
  ];
}

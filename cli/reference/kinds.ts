// A page of docs/reference for each kind: every field with its type, its default and what it does.
import { customResourceDefinitions } from '#api/crd/definition.ts';
import type { JsonSchema } from '#api/crd/schema.ts';

import { table } from './markdown.ts';

interface Definition {
  readonly group: string;
  readonly names: { readonly kind: string };
  readonly versions: readonly {
    readonly name: string;
    readonly schema: { readonly openAPIV3Schema: JsonSchema };
  }[];
}

export interface KindPage {
  readonly kind: string;
  /** `security.istio.io/v1, v1beta1`. */
  readonly versions: string;
  /** One sentence. */
  readonly about: string;
  readonly text: string;
}

/** By the order in which kinds are read. */
export function kindPages(): KindPage[] {
  return customResourceDefinitions().map((crd) => {
    const { group, names, versions } = crd.spec as Definition;
    const schema = versions[0]?.schema.openAPIV3Schema ?? {};
    const about = schema.description ?? '';
    const spec = schema.properties?.['spec'] ?? {};
    const served = versions.map(({ name }) => name).join(', ');
    const rows = fieldsOf(spec, '');
    const text =
      `# ${names.kind}\n\n${about}\n\n\`apiVersion: ${group}/${versions[0]?.name ?? ''}\`` +
      `${versions.length > 1 ? ` (also ${served.replace(/^[^,]*, /, '')})` : ''}. ` +
      'Fields are those of `spec`; `[]` is each item of a list, `{}` each value of a map.\n\n' +
      `${table(['field', 'type', 'what it does'], rows)}\n`;
    return { kind: names.kind, versions: `${group}/${served}`, about, text };
  });
}

function fieldsOf(schema: JsonSchema, path: string): string[][] {
  const { properties = {}, required = [], items, additionalProperties } = schema;
  return [
    ...Object.entries(properties).flatMap(([name, field]) => {
      const at = path === '' ? name : `${path}.${name}`;
      const about = required.includes(name)
        ? `Required. ${field.description ?? ''}`
        : (field.description ?? '');
      return [[`\`${at}\``, typeOf(field), about.trim()], ...fieldsOf(field, at)];
    }),
    ...(items === undefined ? [] : fieldsOf(items, `${path}[]`)),
    ...(additionalProperties === undefined ? [] : fieldsOf(additionalProperties, `${path}{}`)),
  ];
}

function typeOf(schema: JsonSchema): string {
  const { type = 'any', items, additionalProperties } = schema;
  const values = schema['enum'];
  if (Array.isArray(values)) return values.map((value) => `\`${String(value)}\``).join(', ');
  if (items !== undefined) return `list of ${typeOf(items)}`;
  if (additionalProperties !== undefined) return `map of ${typeOf(additionalProperties)}`;
  const { minimum, maximum } = schema as { minimum?: number; maximum?: number };
  if (minimum === undefined && maximum === undefined) return type;
  return `${type} ${minimum ?? ''}..${maximum ?? ''}`;
}

// The shape of a kind as the structural OpenAPI schema that the API server keeps.
import { z } from 'zod';

/** The part of OpenAPI v3 that our schemas use. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema;
  readonly default?: unknown;
  readonly [keyword: string]: unknown;
}

/** What is added to the schema at a path: `selector.matchLabels`, `jwtRules[].timeout`, `''`, `portLevelMtls{}`. */
export type SchemaAdditions = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

/** Keywords that structural schemas have and ours need. */
const plainKeywords = [
  'type',
  'enum',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'minLength',
  'maxLength',
  'pattern',
] as const;

/** @throws Error when an addition has no place, as after a field was renamed */
export function openApiSchema(shape: z.ZodType, additions: SchemaAdditions): JsonSchema {
  const raw = z.toJSONSchema(shape, { target: 'openapi-3.0', io: 'input' });
  const used = new Set<string>();
  const schema = structural(raw as JsonSchema, '', additions, used);
  const unused = [...additions.keys()].filter((path) => !used.has(path));
  if (unused.length > 0) throw new Error(`no field is at ${unused.join(', ')}: mend the additions`);
  return schema;
}

function structural(
  raw: JsonSchema,
  path: string,
  additions: SchemaAdditions,
  used: Set<string>,
): JsonSchema {
  const description = describe(raw);
  const plain = plainKeywords.flatMap((name) =>
    raw[name] === undefined ? [] : [[name, raw[name]]],
  );
  const inside = (child: JsonSchema, at: string): JsonSchema =>
    structural(child, at, additions, used);
  const properties = Object.entries(raw.properties ?? {}).map(([name, child]) => [
    name,
    inside(child, path === '' ? name : `${path}.${name}`),
  ]);
  if (additions.has(path)) used.add(path);
  return {
    ...(description !== '' && { description }),
    ...Object.fromEntries(plain),
    ...(properties.length > 0 && { properties: Object.fromEntries(properties) }),
    ...(raw.required !== undefined && raw.required.length > 0 && { required: raw.required }),
    ...(raw.items !== undefined && { items: inside(raw.items, `${path}[]`) }),
    ...(typeof raw.additionalProperties === 'object' && {
      additionalProperties: inside(raw.additionalProperties, `${path}{}`),
    }),
    ...additions.get(path),
  };
}

/**
 * Defaults are said, not set: Istio's CRDs set none, and what the API server writes into a resource shows as drift in tools
 * that compare it with its file.
 */
function describe({ description = '', default: standard }: JsonSchema): string {
  const shown = ['string', 'number', 'boolean'].includes(typeof standard) && standard !== '';
  return shown ? `${description} Default: ${String(standard)}.`.trimStart() : description;
}

// ApiKeyAuthentications of a snapshot, compiled: who has which key, and where keys are looked for.
import { hash, timingSafeEqual } from 'node:crypto';

import type {
  ApiKeyAuthentication,
  ApiKeyAuthenticationSpec,
} from '#api/kinds/api-key-authentication.ts';
import type { ExtensionResource } from '#api/kinds/extension.ts';
import { placeOf } from '#api/origin.ts';

import { compileRequestMatch, type RequestTest } from '../request-match.ts';
import { compilePlace, type KeyPlace } from './places.ts';

export interface KeyRule {
  /** `shop/partners`, with the file and line where that is known. */
  readonly source: string;
  /** Null: every request. */
  readonly matches: RequestTest | null;
  readonly places: readonly KeyPlace[];
  readonly optional: boolean;
  /** Lower-case; '': none. */
  readonly consumerHeader: string;
  readonly hideKey: boolean;
  /** The caller whose key it is; '': nobody's. */
  consumerOf(key: string): string;
}

export interface ApiKeys {
  /** Oldest first. */
  readonly rules: readonly KeyRule[];
  /** Headers that tell who calls, which no client may send. */
  readonly consumerHeaders: readonly string[];
}

/** Longer ones are nobody's: they are not worth a hash. */
const keyCharactersMax = 4096;
const usualPlaces = [{ header: 'x-api-key' }, { header: 'apikey' }];

/** Null: no request needs a key. Throws when one cannot be enforced. */
export function compileApiKeys(extensions: readonly ExtensionResource[] = []): ApiKeys | null {
  const all = extensions.filter(isApiKeys);
  if (all.length === 0) return null;
  const rules = all.map(compileRule);
  const headers = new Set(rules.map(({ consumerHeader }) => consumerHeader));
  return { rules, consumerHeaders: [...headers].filter((name) => name !== '') };
}

function isApiKeys(
  resource: ExtensionResource,
): resource is ExtensionResource & ApiKeyAuthentication {
  return resource.kind === 'ApiKeyAuthentication';
}

function compileRule({ metadata, spec, origin }: ApiKeyAuthentication): KeyRule {
  const { file, line } = placeOf(origin, 'spec');
  const at = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`;
  const owners = ownersOf(spec);
  return {
    source: `${metadata.namespace}/${metadata.name}${at}`,
    matches: compileRequestMatch(spec.match, { broken: 'throw' }),
    places: (spec.from ?? usualPlaces).map(compilePlace),
    optional: spec.optional,
    consumerHeader: spec.forwardConsumerHeader.toLowerCase(),
    hideKey: spec.hideKey,
    consumerOf(key) {
      if (key === '' || key.length > keyCharactersMax) return '';
      // In hexadecimal, which costs a third of a Buffer.
      const hex = hash('sha256', key, 'hex');
      const owner = owners.get(hex);
      // The look-up may tell by its time how a hash begins, which says nothing of any key; the match is made in constant time.
      if (owner === undefined) return '';
      return timingSafeEqual(owner.digest, Buffer.from(hex, 'hex')) ? owner.name : '';
    },
  };
}

interface Owner {
  readonly name: string;
  readonly digest: Buffer;
}

/** By hash. A key that several have is the first one's. */
function ownersOf({ consumers }: ApiKeyAuthenticationSpec): ReadonlyMap<string, Owner> {
  const owners = new Map<string, Owner>();
  for (const { name, hashes } of consumers) {
    for (const text of hashes) {
      const digest = Buffer.from(text, 'hex');
      if (digest.length !== 32) throw new Error(`a key of ${name} is no SHA-256 in hexadecimal`);
      const hex = digest.toString('hex');
      if (!owners.has(hex)) owners.set(hex, { name, digest });
    }
  }
  return owners;
}

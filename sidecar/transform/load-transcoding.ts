// Loads what transcodes gRPC to JSON when a Transformation wants it, and not before.
import type { Snapshot } from '#api/snapshot.ts';

import type { compileTranscoder } from './grpc-json.ts';
import { isTransformation } from './needs-regexes.ts';

let loaded: typeof compileTranscoder | null = null;

/** A promise until it is there; null: it is, or nobody wants it. */
export function prepareTranscoding({
  extensions = [],
}: Pick<Snapshot, 'extensions'>): Promise<void> | null {
  if (loaded !== null) return null;
  const wanted = extensions
    .filter(isTransformation)
    .some(({ spec }) => spec.rules.some((rule) => rule.grpcJson !== undefined));
  if (!wanted) return null;
  return load();
}

async function load(): Promise<void> {
  loaded = (await import('./grpc-json.ts')).compileTranscoder;
}

/** Throws where it was not prepared. */
export function transcoding(): typeof compileTranscoder {
  if (loaded === null) throw new Error('grpcJson: what transcodes is not loaded');
  return loaded;
}

// Istio's customTags: what a Telemetry resource wants to be told with each span.
import type { CustomTag } from '#api/telemetry.ts';

import { operator, type Operator } from '../log-operators.ts';
import type { LogRecord } from '../log-record.ts';
import type { WallClock } from '../wall-clock.ts';

export interface CompiledTag {
  readonly name: string;
  /** '': there is nothing to tell, and no tag. */
  readonly read: (record: LogRecord) => string;
}

export interface TagParts {
  readonly clock: WallClock;
  /** A variable of the sidecar's environment; undefined where it is not set. */
  readonly environment: (name: string) => string | undefined;
  /** Told of tags that are left out. */
  readonly warn: (message: string) => void;
}

export function compileTags(tags: readonly CustomTag[], parts: TagParts): CompiledTag[] {
  return tags.flatMap((tag) => {
    try {
      return [{ name: tag.name, read: readerOf(tag, parts) }];
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      parts.warn(`the custom tag ${tag.name} is left out: ${reason}`);
      return [];
    }
  });
}

function readerOf(tag: CustomTag, { clock, environment }: TagParts): CompiledTag['read'] {
  switch (tag.kind) {
    case 'literal':
      return () => tag.value;
    case 'environment': {
      const value = environment(tag.variable) ?? tag.otherwise;
      return () => value;
    }
    case 'header': {
      const name = tag.header.toLowerCase();
      return ({ exchange }) => exchange?.request.values(name)[0] ?? tag.otherwise;
    }
    default:
      return compileFormat(tag.format, clock);
  }
}

/**
 * Text with operators of the access log; what there is none of is written `-`, as in Envoy.
 * @throws Error that names the operator when it is unknown or a `%` is left open
 */
function compileFormat(format: string, clock: WallClock): CompiledTag['read'] {
  const pieces = format.split('%');
  if (pieces.length % 2 === 0) throw new Error(`a "%" is not closed: ${format}`);
  const steps = pieces.map((piece, i): string | Operator => {
    if (i % 2 === 0) return piece;
    const read = operator(piece, clock);
    if (read === null) throw new Error(`there is no operator %${piece}%`);
    return read;
  });
  return (record) =>
    steps.map((step) => (typeof step === 'string' ? step : (step(record) ?? '-'))).join('');
}

// Istio's customTags: what a Telemetry resource wants to be told with each span.
import { isLogFormatFault, parseLogFormat } from '#api/access-log/format.ts';
import type { CustomTag } from '#api/telemetry.ts';

import { nothingWanted, wantedBoth, type WantedOfAnswers } from '../kept-answer.ts';
import { compileOperator, type OperatorParts } from '../log-operators.ts';
import type { LogRecord } from '../log-record.ts';

interface Reader {
  /** '': there is nothing to tell, and no tag. */
  readonly read: (record: LogRecord) => string;
  /** What must be kept of answers for it. */
  readonly wanted: WantedOfAnswers;
}

export interface CompiledTag extends Reader {
  readonly name: string;
}

export interface TagParts extends OperatorParts {
  /** A variable of the sidecar's environment; undefined where it is not set. */
  readonly environment: (name: string) => string | undefined;
  /** Told of tags that are left out. */
  readonly warn: (message: string) => void;
}

export function compileTags(tags: readonly CustomTag[], parts: TagParts): CompiledTag[] {
  return tags.flatMap((tag) => {
    try {
      return [{ name: tag.name, ...readerOf(tag, parts) }];
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      parts.warn(`the custom tag ${tag.name} is left out: ${reason}`);
      return [];
    }
  });
}

function readerOf(tag: CustomTag, parts: TagParts): Reader {
  switch (tag.kind) {
    case 'literal':
      return { read: () => tag.value, wanted: nothingWanted };
    case 'environment': {
      const value = parts.environment(tag.variable) ?? tag.otherwise;
      return { read: () => value, wanted: nothingWanted };
    }
    case 'header': {
      const name = tag.header.toLowerCase();
      const read = ({ exchange }: LogRecord): string =>
        exchange?.request.values(name)[0] ?? tag.otherwise;
      return { read, wanted: nothingWanted };
    }
    default:
      return compileFormat(tag.format, parts);
  }
}

/**
 * Text with operators of the access log; what there is none of is written `-`, as in Envoy.
 * @throws Error that names the operator when it is unknown or a `%` is left open
 */
function compileFormat(format: string, parts: TagParts): Reader {
  const pieces = parseLogFormat(format);
  if (isLogFormatFault(pieces)) throw new Error(pieces.fault);
  const steps = pieces.map((piece) =>
    typeof piece === 'string' ? piece : compileOperator(piece, parts),
  );
  const wanted = steps
    .map((step) => (typeof step === 'string' ? nothingWanted : step.wanted))
    .reduce(wantedBoth, nothingWanted);
  const read = (record: LogRecord): string =>
    steps.map((step) => (typeof step === 'string' ? step : (step.read(record) ?? '-'))).join('');
  return { read, wanted };
}

// Whether telemetry's expressions match regular expressions, before their library is loaded.
import type { DirectionTelemetry, TelemetrySettings } from '#api/telemetry.ts';

export function telemetryNeedsRegexes(telemetry: TelemetrySettings | undefined): boolean {
  return telemetry !== undefined && [telemetry.inbound, telemetry.outbound].some(matches);
}

/** By the name of the function: a word too many costs a library that nobody uses. */
function matches({ logs = [], metrics = [], tracing }: DirectionTelemetry): boolean {
  return /\bmatches\s*\(/.test(
    [
      ...logs.flatMap(({ filter = '', format }) => {
        if (format?.kind === 'json') return [filter, ...Object.values(format.fields ?? {})];
        return [filter, format?.text ?? ''];
      }),
      ...metrics.flatMap(({ tags = {} }) => Object.values(tags)),
      ...(tracing?.tags ?? []).map((tag) => (tag.kind === 'formatter' ? tag.format : '')),
    ].join('\n'),
  );
}

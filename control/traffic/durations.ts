// Durations of resources that are valid: in milliseconds, undefined where nothing is written.
import { durationMsOf } from '#api/validate/request-authentication.ts';

export function millis(text: string | undefined): number | undefined {
  return text === undefined ? undefined : (durationMsOf(text) ?? undefined);
}

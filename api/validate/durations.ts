// Durations of Istio's networking kinds: whole milliseconds, at least one.
import { durationMsOf } from './request-authentication.ts';

/** Why a text is no such duration; null when it is one, or is not there. */
export function durationFault(text: string | undefined, mayBeZero = false): string | null {
  if (text === undefined) return null;
  const ms = durationMsOf(text);
  if (ms === null) return `"${text}" is no duration: write it as 5s or 500ms`;
  if (ms % 1 !== 0) return `"${text}" is finer than a millisecond`;
  return ms >= 1 || mayBeZero ? null : `"${text}" is less than 1ms`;
}

// Readers for the values of annotations: what each takes, said in words where it is something else.
import { isIP } from 'node:net';

import { type LogLevel, logLevels } from './config.ts';

/** The message completes the sentence "… is not …". */
export class WrongAnnotation extends Error {
  override readonly name = 'WrongAnnotation';
}

/** `80, 443` becomes `80,443`; '' is none. */
export function portList(text: string): string {
  const wanted = 'a list of ports as 80,443';
  return listOf(text, wanted, (part) => {
    const port = /^\d{1,5}$/.test(part) ? Number(part) : 0;
    return port >= 1 && port <= 65_535;
  });
}

/** `10.0.0.0/8, fd00::/8`; a single address is allowed too. */
export function cidrs(text: string): string {
  return listOf(text, 'a list of CIDRs as 10.0.0.0/8,192.168.0.0/16', (part) => {
    const [, address = '', length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(part) ?? [];
    const family = isIP(address);
    const longest = family === 6 ? 128 : 32;
    return family !== 0 && !address.includes('%') && Number(length ?? 0) <= longest;
  });
}

/** As Kubernetes writes amounts: `100m`, `0.5`, `128Mi`. */
export function quantity(text: string): string {
  if (/^\+?\d{1,18}(?:\.\d{1,9})?(?:[mkMGTPE]|[KMGTPE]i|[eE]\d{1,2})?$/.test(text)) return text;
  throw new WrongAnnotation('an amount as 100m or 128Mi');
}

/** Ours, and Istio's names for the same. */
export function logLevel(text: string): LogLevel {
  const level = istioLevels[text] ?? text;
  const found = logLevels.find((one) => one === level);
  if (found === undefined) throw new WrongAnnotation(`one of ${logLevels.join(', ')}`);
  return found;
}

const istioLevels: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  trace: 'debug',
  warning: 'warn',
  critical: 'error',
  off: 'silent',
});

export function oneOf<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new WrongAnnotation(`one of ${words.join(', ')}`);
    return found;
  };
}

export function trueOrFalse(text: string): boolean {
  if (text === 'true') return true;
  if (text === 'false') return false;
  throw new WrongAnnotation('"true" or "false"');
}

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new WrongAnnotation(`a whole number from ${min} to ${max}`);
    }
    return value;
  };
}

/** `30s`, `500ms`, `1m30s`. */
export function durationMs(maxMs: number): (text: string) => number {
  return (text) => {
    const [whole, minutes, seconds, ms] =
      /^(?:(\d{1,6})m(?!s))?(?:(\d{1,6})s)?(?:(\d{1,9})ms)?$/.exec(text) ?? [];
    const total = Number(minutes ?? 0) * 60_000 + Number(seconds ?? 0) * 1000 + Number(ms ?? 0);
    if (whole === undefined || whole === '' || total > maxMs) {
      throw new WrongAnnotation('a duration as 30s, 500ms or 1m, of an hour at most');
    }
    return total;
  };
}

function listOf(text: string, wanted: string, isGood: (part: string) => boolean): string {
  if (text === '') return '';
  const parts = text.split(',').map((part) => part.trim());
  if (!parts.every(isGood)) throw new WrongAnnotation(wanted);
  return parts.join(',');
}

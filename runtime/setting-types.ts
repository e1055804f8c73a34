// Parsers for fields of settings: numbers with bounds, addresses, URLs, choices, lists.
import { isIP } from 'node:net';
import { Wanted } from './settings.ts';

export interface Address {
  /** A host name or IP address, IPv6 without brackets. */
  readonly host: string;
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number;
}

/** Any text, also none. */
export function anyText(text: string): string {
  return text;
}

/** Text that is not empty. */
export function requiredText(text: string): string {
  if (text.trim() === '') throw new Wanted('some text');
  return text;
}

/** '' becomes null; anything else goes to the parser. */
export function optional<T>(parse: (text: string) => T): (text: string) => T | null {
  return (text) => (text === '' ? null : parse(text));
}

/** A whole number in decimal, within both bounds. */
export function integer(bounds: { min: number; max: number }): (text: string) => number {
  return (text) => {
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= bounds.min && value <= bounds.max)) {
      throw new Wanted(`a whole number from ${bounds.min} to ${bounds.max}`);
    }
    return value;
  };
}

/** A decimal number from 0 to 1. */
export function fraction(text: string): number {
  const value = /^\d{1,10}(\.\d{1,10})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 0 && value <= 1)) throw new Wanted('a number from 0 to 1');
  return value;
}

export function boolean(text: string): boolean {
  if (text === 'true') return true;
  if (text === 'false') return false;
  throw new Wanted('true or false');
}

/** One of the given words. */
export function oneOf<const T extends string>(...words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new Wanted(`one of ${words.join(', ')}`);
    return found;
  };
}

/** `host:port`, `127.0.0.1:0`, `[::1]:8080`. */
export function address(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? Number.NaN);
  const bracketed = match?.[1];
  const host = bracketed ?? match?.[2] ?? '';
  const valid = port <= 65_535 && (bracketed === undefined || isIP(bracketed) === 6);
  if (!valid) throw new Wanted('host:port, as 127.0.0.1:8080 or [::1]:8080');
  return { host, port };
}

/** An address to listen on; `:15021` is the port on every address, IPv6 too where the host has it. */
export function listenAddress(text: string): Address {
  if (!text.startsWith(':')) return address(text);
  return { host: '', port: address(`any${text}`).port };
}

/** An absolute URL of one of the given schemes, without credentials. */
export function url(...schemes: readonly string[]): (text: string) => URL {
  return (text) => {
    const parsed = URL.parse(text);
    const wrong =
      parsed === null ||
      !schemes.includes(parsed.protocol.slice(0, -1)) ||
      parsed.username !== '' ||
      parsed.password !== '';
    if (wrong) throw new Wanted(`a URL with ${schemes.join(' or ')} and no credentials`);
    return parsed;
  };
}

/** Parts between separators, each parsed; '' is the empty list. An empty part is a mistake. */
export function list<T>(separator: string, parse: (part: string) => T): (text: string) => T[] {
  return (text) => {
    if (text === '') return [];
    return text.split(separator).map((part) => {
      if (part.trim() === '') throw new Wanted(`parts separated by "${separator}", none empty`);
      return parse(part.trim());
    });
  };
}

// Fields of JSON that another process answered, of whatever version it is: what is missing or odd reads as nothing.

export class JsonFields {
  readonly #value: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    const isObject = typeof value === 'object' && value !== null;
    this.#value = isObject ? (value as Readonly<Record<string, unknown>>) : {};
  }

  /** '' where there is no text. */
  text(name: string): string {
    const value = this.#value[name];
    return typeof value === 'string' ? value : '';
  }

  number(name: string): number | null {
    const value = this.#value[name];
    return typeof value === 'number' && Number.isFinite(value) ? value : null;
  }

  flag(name: string): boolean {
    return this.#value[name] === true;
  }

  /** Ms since 1970, from RFC 3339 or a number of ms. */
  time(name: string): number | null {
    const value = this.#value[name];
    const ms = typeof value === 'string' ? Date.parse(value) : value;
    return typeof ms === 'number' && Number.isFinite(ms) ? ms : null;
  }

  /** Of an object in it; without any where there is none. */
  inner(name: string): JsonFields {
    return new JsonFields(this.#value[name]);
  }

  /** As it is, of whatever type. */
  value(name: string): unknown {
    return this.#value[name];
  }

  texts(name: string): string[] {
    const value = this.#value[name];
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
  }
}

/** The objects of a list, which may also be the one list in an object. */
export function parseJsonList(value: unknown): JsonFields[] {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const list = isObject ? Object.values(value).find((one) => Array.isArray(one)) : value;
  return Array.isArray(list) ? list.map((one) => new JsonFields(one)) : [];
}

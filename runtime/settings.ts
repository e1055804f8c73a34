// Settings of a process from its environment: one table, every mistake reported at once, printable without secrets.

export interface Field {
  /** Property of the result, camelCase, unit last: `drainTimeoutMs`. */
  readonly name: string;
  /** Environment variable: `SELVAGE_DRAIN_TIMEOUT_MS`. */
  readonly env: string;
  /** Text to value; throws `Wanted` (or any error) whose message says what is wanted. */
  readonly parse: (text: string) => unknown;
  /** As it would be written in the environment. A field without one is required. */
  readonly default?: string;
  /** Neither its value nor a wrong one is ever printed. */
  readonly secret?: boolean;
  readonly doc: string;
}

/** The result of a table: `name` -> what `parse` returns. */
export type Settings<F extends readonly Field[]> = {
  readonly [K in F[number] as K['name']]: ReturnType<K['parse']>;
};

/** What a parser throws: the message completes the sentence "wanted …". */
export class Wanted extends Error {
  override readonly name = 'Wanted';
}

/** All mistakes of one reading; `message` has a line for each. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(`${mistakes.length} wrong setting(s):\n${mistakes.map((m) => `  ${m}`).join('\n')}`);
    this.mistakes = mistakes;
  }
}

/**
 * Reads every field of a table; throws one SettingsError that names every mistake.
 * @param contradictions mistakes that show only where several fields are looked at together; they come first
 */
export function readSettings<const F extends readonly Field[]>(
  fields: F,
  env: Readonly<Record<string, string | undefined>>,
  contradictions: readonly string[] = [],
): Settings<F> {
  const values: Record<string, unknown> = {};
  const mistakes = [...contradictions];
  for (const field of fields) {
    const text = env[field.env] ?? field.default;
    if (text === undefined) {
      mistakes.push(`${field.env} is not set: ${field.doc}`);
      continue;
    }
    try {
      values[field.name] = field.parse(text);
    } catch (error) {
      const wanted = error instanceof Error ? error.message : String(error);
      const given = field.secret === true ? 'its value (hidden)' : JSON.stringify(text);
      mistakes.push(`${field.env}: wanted ${wanted}, got ${given}`);
    }
  }
  if (mistakes.length > 0) throw new SettingsError(mistakes);
  return values as Settings<F>;
}

/** Every field as it would be written in the environment, for the log at start; secrets hidden. */
export function describeSettings(
  fields: readonly Field[],
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const described: Record<string, string> = {};
  for (const field of fields) {
    const text = env[field.env] ?? field.default ?? '';
    described[field.env] = field.secret === true && text !== '' ? '(hidden)' : text;
  }
  return described;
}

// Splits a command line into words as a shell does, without carrying anything out.

/** Quotes and backslashes count as in sh; what would be expanded stays as it is written. Never throws. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote: '"' | "'" | null = null;
  for (let i = 0; i < line.length; i += 1) {
    const character = line[i] ?? '';
    if (quote === "'") {
      if (character === quote) quote = null;
      else word += character;
    } else if (character === '\\') {
      i += 1;
      const next = line[i] ?? '';
      // A line that goes on: both are nothing.
      if (next === '\n') continue;
      const isPlain = quote === '"' && !'"\\$`'.includes(next);
      word = (word ?? '') + (isPlain ? `\\${next}` : next);
    } else if (character === quote) {
      quote = null;
    } else if (quote === null && (character === '"' || character === "'")) {
      quote = character;
      word ??= '';
    } else if (quote === null && /\s/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (word !== null) words.push(word);
  return words;
}

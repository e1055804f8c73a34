// For every combination of patterns that some text of a field meets, one such text: the shortest.
import type { Language } from './language.ts';
import { type Open, Positions } from './positions.ts';
import type { Shape } from './shape.ts';

export interface Samples {
  readonly texts: readonly string[];
  /** False: there are more combinations than were looked for. */
  readonly complete: boolean;
}

/** So many places of patterns are looked at: some seconds of work, and some hundred megabytes. */
const placesMaxByDefault = 20_000_000;

/** Reads all texts at once, breadth first, by which patterns they are still on the way to. */
export function sampleTexts(
  shapes: readonly Shape[],
  language: Language,
  placesMax: number = placesMaxByDefault,
): Samples {
  let places = 0;
  const positions = new Positions(shapes);
  const seen = new Set<string>();
  const texts = new Map<string, string>();
  const begin: State = { open: positions.start, state: language.start, text: '' };
  seen.add(keyOf(begin));
  let reading = [begin];
  while (reading.length > 0) {
    const further: State[] = [];
    for (const { open, state, text } of reading) {
      if (language.ends(state)) {
        const met = positions.met(open).join(' ');
        if (!texts.has(met)) texts.set(met, text);
      }
      for (const char of charsAfter(positions.named(open), language, state)) {
        const next = language.next(state, char);
        if (next === null) continue;
        const after: State = { open: positions.next(open, char), state: next, text: text + char };
        const key = keyOf(after);
        places += 1 + after.open.length;
        if (places > placesMax) return { texts: [...texts.values()], complete: false };
        if (seen.has(key)) continue;
        seen.add(key);
        further.push(after);
      }
    }
    reading = further;
  }
  return { texts: [...texts.values()], complete: true };
}

interface State {
  readonly open: Open;
  readonly state: string;
  readonly text: string;
}

function keyOf({ open, state }: State): string {
  return `${state}\n${open.join(' ')}`;
}

/** Those that a pattern or the language waits for, and one of each class that no pattern waits for. */
function charsAfter(
  named: ReadonlySet<string>,
  language: Language,
  state: string,
): readonly string[] {
  const others = language.classes.flatMap((chars) => {
    for (const char of chars) if (!named.has(char)) return [char];
    return [];
  });
  return [...new Set([...others, ...named, ...(language.waits?.(state) ?? [])])];
}

// Fields that may hold several values at once, of which any may meet a condition: every combination of what is met.

/** So many combinations of one field are looked at. */
const unionsMax = 2_048;

/**
 * Lists of values, the empty one first, then each value, then what more of them meet together.
 * @param tests for each condition, whether a value is among those that it names
 */
export function unions(
  values: readonly string[],
  tests: readonly ((value: string) => boolean)[],
  field: string,
  problems: string[],
): readonly (readonly string[])[] {
  const met = new Map<string, readonly string[]>([['', []]]);
  const singles: { readonly value: string; readonly bits: readonly number[] }[] = [];
  for (const value of values) {
    const bits = tests.flatMap((test, i) => (test(value) ? [i] : []));
    const key = bits.join(' ');
    if (singles.some((one) => one.bits.join(' ') === key)) continue;
    singles.push({ value, bits });
    // A value that meets nothing is still another thing than none where presence counts.
    met.set(key === '' ? 'nothing' : key, [value]);
  }
  let grown = [...met];
  while (grown.length > 0) {
    const further: [string, readonly string[]][] = [];
    for (const [key, list] of grown) {
      for (const { value, bits } of singles) {
        const own = key === 'nothing' || key === '' ? [] : key.split(' ').map(Number);
        const both = [...new Set([...own, ...bits])].toSorted((a, b) => a - b).join(' ');
        if (both === '' || met.has(both)) continue;
        if (met.size >= unionsMax) {
          problems.push(`${field} has more than ${unionsMax} combinations of values`);
          return [...met.values()];
        }
        const longer = [...list, value];
        met.set(both, longer);
        further.push([both, longer]);
      }
    }
    grown = further;
  }
  return [...met.values()];
}

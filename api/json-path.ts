// Paths of fields in JSON, as `user.password`, `items[].secret`, `[].id` and `["a.b"].c`.

/** A name of an object's field, or every element of an array. */
export type JsonStep = string | typeof EACH;

export const EACH = Symbol('each element');

const stepsMax = 32;

/** The steps of a path; a sentence where it is none. */
export function readJsonPath(text: string): readonly JsonStep[] | string {
  const steps: JsonStep[] = [];
  for (let at = 0; at < text.length;) {
    const token = /^(?:\[\]|\["((?:[^"\\]|\\["\\])*)"\]|(\.?)([^.[\]"\s]+))/.exec(text.slice(at));
    if (token === null) return `"${text}" is no path of a field at "${text.slice(at)}"`;
    const [whole, quoted, dot, name] = token;
    if (name !== undefined && (dot === '.') !== at > 0) {
      return `"${text}" is no path of a field: a dot stands between names, and nowhere else`;
    }
    if (quoted === undefined) steps.push(name ?? EACH);
    else steps.push(quoted.replaceAll(/\\(.)/g, '$1'));
    at += whole.length;
  }
  if (steps.length === 0) return 'a path of a field may not be empty';
  if (steps.length > stepsMax) return `a path has at most ${stepsMax} steps`;
  if (steps.at(-1) === EACH) return `"${text}" ends with [], and names no field`;
  return steps;
}

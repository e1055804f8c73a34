// Paths that differ only in their ids, as one template: /orders/17, /orders/18 and /orders/19 are /orders/{*}.

/** From so many ids on, what stands there is believed to be one. */
const idsMin = 3;

const uuid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;
const hexadecimal = /^(?=.*\d)[\da-f]{8,}$/i;
/** Characters that a segment of a template may have. */
const plain = /^[\w\-.~%!$&'()+,;:@=]+$/;

/**
 * The class of each path: a template where `idsMin` different ids stand in one place, else the path itself.
 * @param paths normal, without queries
 */
export function pathClasses(paths: Iterable<string>): Map<string, string> {
  const classes = new Map<string, string>();
  const rows = [...new Set(paths)].toSorted().map((path) => ({ path, segments: path.split('/') }));
  // Of a doubled slash, and of odd characters, no template can be made.
  const [fit, unfit] = [rows.filter(isFit), rows.filter((row) => !isFit(row))];
  for (const { path } of unfit) classes.set(path, path);
  classify(fit, 0, [], classes);
  return classes;
}

interface Row {
  readonly path: string;
  readonly segments: readonly string[];
}

function isFit({ path, segments }: Row): boolean {
  return !path.includes('//') && segments.every((one) => one === '' || plain.test(one));
}

function classify(
  rows: readonly Row[],
  depth: number,
  known: readonly string[],
  classes: Map<string, string>,
): void {
  const bySegment = Map.groupBy(rows, ({ segments }) => segments[depth]);
  const ids = [...bySegment.keys()].filter((segment) => segment !== undefined && isId(segment));
  const general = ids.length >= idsMin;
  const together: Row[] = [];
  for (const [segment, own] of bySegment) {
    if (segment === undefined) {
      for (const { path } of own) classes.set(path, known.join('/'));
    } else if (general && isId(segment)) together.push(...own);
    else classify(own, depth + 1, [...known, segment], classes);
  }
  if (together.length > 0) classify(together, depth + 1, [...known, '{*}'], classes);
}

function isId(segment: string): boolean {
  return /^\d+$/.test(segment) || uuid.test(segment) || hexadecimal.test(segment);
}

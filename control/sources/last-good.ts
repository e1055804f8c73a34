// What of a file is in force when the file has mistakes: for each broken part, its last good form.
import type { AnyResource, Loaded } from '#api/load.ts';
import { nameOf } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';
import type { ReadResource } from '#api/read-meta.ts';

/**
 * The resources and problems of a file after an edit.
 * A mistake inside one resource keeps the last good form of that one, and the others are taken as they are now. A mistake
 * that belongs to no resource (YAML that cannot be parsed) keeps the last good content of the whole file: nobody can say
 * which resources the broken text would have held, and a DENY policy must not vanish with it.
 * @param before what the file had in force until now; null: it is new
 */
export function keepLastGood(
  file: string,
  before: readonly AnyResource[] | null,
  loaded: Loaded,
): Loaded {
  const errors = loaded.problems.filter(({ severity }) => severity === 'error');
  if (errors.length === 0 || before === null || before.length === 0) return loaded;
  if (errors.some(({ resource }) => resource === undefined)) {
    return { resources: [...before], problems: [...loaded.problems, keptAll(file, before)] };
  }
  const broken = new Set(errors.map(({ resource }) => resource));
  const present = new Set(loaded.resources.map(nameOf));
  const resources = [...loaded.resources];
  const problems = [...loaded.problems];
  for (const [index, resource] of before.entries()) {
    const name = nameOf(resource);
    if (!broken.has(name) || present.has(name)) continue;
    // At its old place: the order of documents stands for age.
    resources.splice(index, 0, resource);
    problems.push(kept(file, resource));
  }
  return { resources, problems };
}

/** The same for one object of a cluster. @param before what of it was in force until now; null: nothing */
export function keepLastGoodObject(before: AnyResource | null, read: ReadResource): Loaded {
  const { resource, problems } = read;
  if (resource !== null) return { resources: [resource], problems };
  const broken = problems.some(({ severity }) => severity === 'error');
  if (before === null || !broken) return { resources: [], problems };
  const { code, message } = kept('', before);
  const warning = { severity: 'warning', code, message, resource: nameOf(before) } as const;
  return { resources: [before], problems: [...problems, warning] };
}

function keptAll(file: string, before: readonly AnyResource[]): Problem {
  const counted = `${before.length} resource${before.length === 1 ? '' : 's'}`;
  return {
    severity: 'warning',
    code: 'last-good-kept',
    message: `${file} cannot be read as it is now: its last good content (${counted}) stays in force`,
    file,
    line: 1,
  };
}

function kept(file: string, resource: AnyResource): Problem {
  return {
    severity: 'warning',
    code: 'last-good-kept',
    message: `the last good form of ${nameOf(resource)} stays in force`,
    file,
    line: resource.origin?.line,
    resource: nameOf(resource),
  };
}

// Puts the text of the file that a Filter names into it: what sidecars get is text, wherever it was.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import type { Filter } from '#api/kinds/filter.ts';
import type { AnyResource, Loaded } from '#api/load.ts';
import { nameOf, placeOf } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { stampOf } from './scan.ts';

export interface WithSources extends Loaded {
  /** Stamps by path of the files that were read; '' of one that was not there. */
  readonly sources: ReadonlyMap<string, string>;
}

/** As kinds allow it in a cluster, about. */
const bytesMax = 256 * 1024;

/** Filters whose file cannot be read are left out, unless their text is known from before. @param root of the paths of YAML files */
export async function withFilterSources(loaded: Loaded, root = ''): Promise<WithSources> {
  const sources = new Map<string, string>();
  if (!loaded.resources.some(namesFile)) return { ...loaded, sources };
  const resources: AnyResource[] = [];
  const problems = [...loaded.problems];
  for (const resource of loaded.resources) {
    if (!namesFile(resource)) {
      resources.push(resource);
      continue;
    }
    const path = resolve(root, dirname(resource.origin?.file ?? ''), resource.spec.file ?? '');
    const stamp = await stampOf(path);
    sources.set(path, stamp?.stamp ?? '');
    const text = stamp === null || stamp.bytes > bytesMax ? null : await textOf(path);
    if (text === null) problems.push(unreadable(resource, path));
    else resources.push({ ...resource, spec: { ...resource.spec, source: text } } as AnyResource);
    if (text === null && resource.spec.source !== undefined) resources.push(resource);
  }
  return { resources, problems, sources };
}

/** Whether the files that were read are as they were. */
export async function areUnchanged(sources: ReadonlyMap<string, string>): Promise<boolean> {
  for (const [path, stamp] of sources) {
    if (((await stampOf(path))?.stamp ?? '') !== stamp) return false;
  }
  return true;
}

function namesFile(resource: AnyResource): resource is AnyResource & Filter {
  return resource.kind === 'Filter' && (resource as Filter).spec.file !== undefined;
}

function textOf(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

function unreadable(resource: AnyResource & Filter, path: string): Problem {
  return {
    severity: 'error',
    code: 'filter-unreadable',
    message: `the file of the filter cannot be read, or is over ${bytesMax} bytes: ${path}`,
    resource: nameOf(resource),
    path: 'spec.file',
    ...placeOf(resource.origin, 'spec.file'),
  };
}

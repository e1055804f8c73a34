// Whether Transformations have a regular expression, before its library is loaded.
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { Transformation } from '#api/kinds/transformation.ts';

export function transformsNeedRegexes(extensions: readonly ExtensionResource[] = []): boolean {
  return extensions
    .filter(isTransformation)
    .some(({ spec }) => spec.rules.some((r) => r.request?.path?.replaceRegex !== undefined));
}

export function isTransformation(resource: ExtensionResource): resource is Transformation {
  return resource.kind === 'Transformation';
}

// The annotation selvage.dev/sticky-by: what keeps a caller with one of several weighted destinations.
import { joinKey } from '../origin.ts';
import type { StickyKey } from '../traffic/route.ts';

const stickyAnnotation = 'selvage.dev/sticky-by';

/** The key of a resource's annotations; undefined: there is none, or none that can be read. */
export function stickyOf(annotations: Readonly<Record<string, string>>): StickyKey | undefined {
  const text = annotations[stickyAnnotation];
  return text === undefined ? undefined : (readSticky(text) ?? undefined);
}

export function stickyFault(
  annotations: Readonly<Record<string, string>>,
): { readonly path: string; readonly message: string; readonly mend: string } | null {
  const text = annotations[stickyAnnotation];
  if (text === undefined || readSticky(text) !== null) return null;
  return {
    path: joinKey('metadata.annotations', stickyAnnotation),
    message: `${stickyAnnotation}: "${text}" is no key`,
    mend: 'write header:x-user, cookie:sid, query:id or source-ip',
  };
}

function readSticky(text: string): StickyKey | null {
  if (text === 'source-ip') return { kind: 'source-ip' };
  const [, kind, name = ''] = /^(header|cookie|query):([!-~]+)$/.exec(text) ?? [];
  switch (kind) {
    case 'header':
      return /^[-_A-Za-z0-9]+$/.test(name) ? { kind, name: name.toLowerCase() } : null;
    case 'cookie':
    case 'query':
      return { kind, name };
    default:
      return null;
  }
}

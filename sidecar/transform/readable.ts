// Whether a body can be edited, and as what, by what its head says of it; and what a head may say no more once it was.

interface Head {
  values(name: string): readonly string[];
  remove(name: string): void;
  append(name: string, value: string): void;
}

export type BodyType = 'json' | 'xml';

/** `application/json`, `application/problem+json; charset=utf-8`; null: of neither type. */
export function typeOf(head: Pick<Head, 'values'>): BodyType | null {
  const [type = '', more] = head.values('content-type');
  if (more !== undefined) return null;
  const found = bodyType.exec(type)?.[1]?.toLowerCase();
  return found === undefined ? null : (found as BodyType);
}

export function setType(head: Head, type: BodyType): void {
  head.remove('content-type');
  head.append('content-type', type === 'json' ? 'application/json' : 'application/xml');
}

/** The coding that hides the content; '' when there is none. */
export function codingOf(head: Head): string {
  const coding = head.values('content-encoding').join(',').trim().toLowerCase();
  return coding === 'identity' ? '' : coding;
}

/** Digests are of another content, and the validator is strong no more (RFC 9110 sections 7.7 and 8.8.1). */
export function forgetContent(head: Head): void {
  for (const name of digests) head.remove(name);
  const [tag] = head.values('etag');
  if (tag === undefined || !tag.startsWith('"')) return;
  head.remove('etag');
  head.append('etag', `W/${tag}`);
}

const bodyType = /^\s*(?:application|text)\/(?:[\w.-]+\+)?(json|xml)\s*(?:;|$)/i;
const digests = ['content-md5', 'digest', 'content-digest', 'repr-digest'];

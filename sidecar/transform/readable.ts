// Whether a body can be edited as JSON, by what its head says of it; and what a head may say no more once it was.

interface Head {
  values(name: string): readonly string[];
  remove(name: string): void;
  append(name: string, value: string): void;
}

/** `application/json`, `application/problem+json; charset=utf-8`. */
export function isJson(head: Head): boolean {
  const [type = '', more] = head.values('content-type');
  return more === undefined && jsonType.test(type);
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

const jsonType = /^\s*(?:application|text)\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const digests = ['content-md5', 'digest', 'content-digest', 'repr-digest'];

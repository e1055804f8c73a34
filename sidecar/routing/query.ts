// Query parameters and cookies of a request as Envoy reads them: the first of a name, nothing decoded.
import { pathEnd, pseudoHeader } from '#policy/conditions/request.ts';
import type { RequestFacts } from '#policy/facts.ts';

/** The first parameter of that name; '' when it has no `=`, null when there is none. */
export function queryValue(path: string, name: string): string | null {
  for (let from = pathEnd(path) + 1; from < path.length;) {
    const ampersand = path.indexOf('&', from);
    const to = ampersand === -1 ? path.length : ampersand;
    if (path.startsWith(name, from)) {
      const after = from + name.length;
      if (after === to) return '';
      if (after < to && path.charCodeAt(after) === equals) return path.slice(after + 1, to);
    }
    from = to + 1;
  }
  return null;
}

/** The first cookie of that name, without its quotes; null when there is none. */
export function cookieValue(request: RequestFacts, name: string): string | null {
  for (const line of request.values('cookie')) {
    for (const pair of line.split(';')) {
      const at = pair.indexOf('=');
      if (at === -1 || pair.slice(0, at).trim() !== name) continue;
      const value = pair.slice(at + 1).trim();
      return /^".*"$/s.test(value) && value.length > 1 ? value.slice(1, -1) : value;
    }
  }
  return null;
}

/**
 * The lines of a header as one text, joined as Envoy joins them; null when there is none.
 * @param name lower-case, or a pseudo-header's: `:path`, `:authority`, `:method`, `:scheme`
 */
export function headerText(request: RequestFacts, name: string): string | null {
  return pseudoHeader(request, name) ?? joined(request.values(name), name);
}

/** Lines of one header of a request or response as one text. */
export function joined(values: readonly string[], name: string): string | null {
  if (values.length < 2) return values[0] ?? null;
  return values.join(name === 'cookie' ? '; ' : ',');
}

const equals = 61;

// Where something that counts for a call was written.
import { nameOf, placeOf, type Written } from '#api/origin.ts';

/** Something that somebody wrote. */
export interface Source {
  /** `DestinationRule shop/payments`. */
  readonly resource: string;
  /** `file:line`; null where it has none. */
  readonly at: string | null;
}

/** A node of a resource. */
export function sourceAt(written: Written, path: string): Source {
  return { resource: nameOf(written), at: atOf(placeOf(written.origin, path)) };
}

export function atOf({ file, line }: ReturnType<typeof placeOf>): string | null {
  return line === undefined ? null : `${file}:${line}`;
}

/** `DestinationRule shop/payments (shop.yaml:12)`. */
export function sourceText({ resource, at }: Source): string {
  return at === null ? resource : `${resource} (${at})`;
}

// Edits of an answer's head that the rules of a request ask for.
import type { Exchange, ResponseView } from '../exchange.ts';
import { applyResponseEdits } from '../routing/header-edits.ts';

/** Of the response layers: edits of the answer's head. */
export function transformResponse(x: Exchange, response: ResponseView): void {
  const { transformed } = x;
  if (transformed === null) return;
  for (const { headers } of transformed.rules) {
    if (headers !== null) applyResponseEdits(headers, x, response);
  }
  if (transformed.untouched !== '') {
    x.details = `via_upstream{untransformed_${transformed.untouched}}`;
  }
}

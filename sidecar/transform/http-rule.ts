// google.api.http: which HTTP requests stand for a method, as its options in a descriptor say.
import { ProtobufError, readFields } from '../authorizer/protobuf.ts';
import { bytesOf, textOf } from './protobuf-descriptor.ts';

export interface HttpRule {
  /** Upper-case; `*` stands for every method. */
  readonly method: string;
  readonly template: string;
  /** `*`: the body is the message; a field: it is that; '': there is none. */
  readonly body: string;
  /** The field of the answer that is its body; '': all of it. */
  readonly responseBody: string;
}

const verbs: Readonly<Record<number, string>> = {
  2: 'GET',
  3: 'PUT',
  4: 'POST',
  5: 'DELETE',
  6: 'PATCH',
};

/** The rule and its additional bindings, which have none of their own. Throws ProtobufError. */
export function readHttpRules(bytes: Buffer, isAdditional = false): HttpRule[] {
  let method = '';
  let template = '';
  let body = '';
  let responseBody = '';
  const more: HttpRule[] = [];
  readFields(bytes, (field, value) => {
    const verb = verbs[field];
    if (verb !== undefined) {
      method = verb;
      template = textOf(value);
    } else if (field === 7) body = textOf(value);
    else if (field === 12) responseBody = textOf(value);
    else if (field === 8) {
      readFields(bytesOf(value), (part, text) => {
        if (part === 1) method = textOf(text).toUpperCase();
        if (part === 2) template = textOf(text);
      });
    } else if (field === 11) {
      if (isAdditional) throw new ProtobufError('an additional binding has bindings of its own');
      more.push(...readHttpRules(bytesOf(value), true));
    }
  });
  if (template === '') throw new ProtobufError('google.api.http has no path');
  return [{ method, template, body, responseBody }, ...more];
}

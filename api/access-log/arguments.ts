// What the operators of access logs take between their parentheses.
import { argumentOperators, type ArgumentOperator } from './operators.ts';

export function isArgumentOperator(name: string): name is ArgumentOperator {
  return Object.hasOwn(argumentOperators, name);
}

/** Why an operator cannot have that argument; null where it can. */
export function argumentFault(name: ArgumentOperator, argument: string | undefined): string | null {
  if (argument === undefined || argument === '') {
    return argumentOperators[name] === 'needed'
      ? `%${name}% needs an argument: ${example(name)}`
      : null;
  }
  switch (name) {
    case 'START_TIME':
    case 'EMIT_TIME':
      return timeFormFault(argument);
    case 'REQ':
    case 'RESP':
    case 'TRAILER':
    case 'REQUEST_HEADER':
    case 'RESPONSE_HEADER':
    case 'RESPONSE_TRAILER':
    case 'REQ_WITHOUT_QUERY':
      return headersFault(argument);
    case 'GRPC_STATUS':
      return forms.has(argument) ? null : `%GRPC_STATUS% takes one of ${[...forms].join(', ')}`;
    case 'PATH':
      return /^(WQ|NQ)(:(ORIG|PATH|ORIG_OR_PATH))?$/.test(argument)
        ? null
        : '%PATH% takes WQ or NQ, and ORIG, PATH or ORIG_OR_PATH after a colon';
    default:
      return null;
  }
}

const forms: ReadonlySet<string> = new Set(['CAMEL_STRING', 'SNAKE_STRING', 'NUMBER']);

function example(name: ArgumentOperator): string {
  if (name === 'CEL' || name === 'TYPED_CEL') return `%${name}(request.host)%`;
  return name === 'ENVIRONMENT' || name === 'QUERY_PARAM' ? `%${name}(NAME)%` : `%${name}(X-NAME)%`;
}

function headersFault(argument: string): string | null {
  const given = argument.split('?');
  if (given.length > 2) return `"${argument}" has more than one header beside the first`;
  const wrong = given.find((name) => !/^:?[\w!#$&'*+.^`|~-]+$/.test(name));
  return wrong === undefined ? null : `"${wrong}" is no name of a header`;
}

/** Of START_TIME: strftime's letters, `%s` since 1970, `%f` with the number of its digits before it. */
export const timeLetters = [
  'Y',
  'm',
  'd',
  'H',
  'M',
  'S',
  'y',
  'b',
  'B',
  'a',
  'A',
  'e',
  'j',
  'F',
  'T',
  'R',
  'D',
  'z',
  'Z',
  's',
  'I',
  'p',
] as const;
const timeForm = new RegExp(`^(?:[^%]|%%|%[1-9]?f|%[${timeLetters.join('')}])*$`);

/** Why a text says no form of a time; null where it does. */
function timeFormFault(form: string): string | null {
  if (timeForm.test(form)) return null;
  return `"${form}" is no form of a time: it has %${timeLetters.join(' %')} and %3f`;
}

// Names of hosts as Istio's webhook takes them. Each check gives the reason or null.
import { isIp } from './values.ts';

const label = /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/;
const wildcardLabel = /^(\*|[-*]?[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)$/;
const labelLengthMax = 63;
const nameLengthMax = 255;

/** RFC 1123, one label. */
export function isDnsLabel(text: string): boolean {
  return text.length <= labelLengthMax && label.test(text);
}

/** Why a text is no fully qualified name or IP address; null when it is one. */
export function hostFault(text: string): string | null {
  return isIp(text) ? null : nameFault(text);
}

/** Why a text is no domain name; null when it is one. */
export function nameFault(text: string): string | null {
  const fault = lengthFault(text);
  if (fault !== null) return fault;
  return labelsFault(text, text.split('.'));
}

/** The same, where the first label may be, or begin with, a *. */
export function wildcardNameFault(text: string): string | null {
  const fault = lengthFault(text);
  if (fault !== null) return fault;
  const [first = '', ...rest] = text.split('.');
  if (first.length > labelLengthMax || !wildcardLabel.test(first)) {
    return `"${text}" is no domain name: its first label "${first}" is none`;
  }
  return rest.length === 0 ? null : labelsFault(text, rest);
}

function lengthFault(text: string): string | null {
  if (text === '') return 'a name is missing';
  return text.length > nameLengthMax ? `a name has at most ${nameLengthMax} characters` : null;
}

/** A trailing dot is the root, and may stand. */
function labelsFault(text: string, labels: readonly string[]): string | null {
  const names = labels.at(-1) === '' && labels.length > 1 ? labels.slice(0, -1) : labels;
  const wrong = names.find((one) => !isDnsLabel(one));
  return wrong === undefined ? null : `"${text}" is no domain name: its label "${wrong}" is none`;
}

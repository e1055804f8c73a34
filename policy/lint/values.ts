// The values of an AuthorizationPolicy as a flat list: `source.principals` and the condition
// source.principal are one field.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { joinIndex } from '#api/origin.ts';

/** What a value is compared with. */
export type Field =
  | 'principals'
  | 'requestPrincipals'
  | 'namespaces'
  | 'serviceAccounts'
  | 'trustDomains'
  | 'ipBlocks'
  | 'remoteIpBlocks'
  | 'destinationIps'
  | 'hosts'
  | 'methods'
  | 'paths'
  | 'ports'
  | 'headers'
  | 'claims'
  | 'audiences'
  | 'presenters'
  | 'serverNames'
  | 'other';

export interface PolicyValue {
  readonly policy: AuthorizationPolicy;
  /** Index in `spec.rules`. */
  readonly rule: number;
  readonly field: Field;
  /** As it is written: `notPaths`, `request.headers[x-user]`. */
  readonly label: string;
  /** The name in brackets: of a header, of a claim. */
  readonly name: string;
  /** notX and notValues. */
  readonly negative: boolean;
  readonly value: string;
  readonly path: string;
  /** Path of the list that the value is in, and all of the list. */
  readonly listPath: string;
  readonly list: readonly string[];
}

const fieldsOfKeys: Readonly<Record<string, Field>> = {
  'source.principal': 'principals',
  'source.namespace': 'namespaces',
  'source.serviceAccount': 'serviceAccounts',
  'source.trustDomain': 'trustDomains',
  'source.ip': 'ipBlocks',
  'remote.ip': 'remoteIpBlocks',
  'destination.ip': 'destinationIps',
  'destination.port': 'ports',
  'connection.sni': 'serverNames',
  'request.auth.principal': 'requestPrincipals',
  'request.auth.audiences': 'audiences',
  'request.auth.presenter': 'presenters',
};

/** In the order in which they are written. */
export function valuesOf(policy: AuthorizationPolicy): PolicyValue[] {
  const rules = policy.spec.rules ?? [];
  return rules.flatMap((rule, index) => {
    const at = joinIndex('spec.rules', index);
    const base = { policy, rule: index };
    const from = (rule.from ?? []).flatMap(({ source = {} }, i) =>
      fieldValues(base, source, `${joinIndex(`${at}.from`, i)}.source`),
    );
    const to = (rule.to ?? []).flatMap(({ operation = {} }, i) =>
      fieldValues(base, operation, `${joinIndex(`${at}.to`, i)}.operation`),
    );
    const when = (rule.when ?? []).flatMap(({ key, values, notValues }, i) => {
      const path = joinIndex(`${at}.when`, i);
      const found = { ...base, label: key, field: fieldOfKey(key), name: nameIn(key) };
      return [
        ...each({ ...found, negative: false }, values, `${path}.values`),
        ...each({ ...found, negative: true }, notValues, `${path}.notValues`),
      ];
    });
    return [...from, ...to, ...when];
  });
}

type Base = Pick<PolicyValue, 'policy' | 'rule'>;
type Described = Omit<PolicyValue, 'value' | 'path' | 'listPath' | 'list'>;

function fieldValues(
  base: Base,
  fields: Readonly<Record<string, readonly string[] | undefined>>,
  path: string,
): PolicyValue[] {
  return Object.entries(fields).flatMap(([label, values]) => {
    const negative = /^not[A-Z]/.test(label);
    const field = negative ? label.charAt(3).toLowerCase() + label.slice(4) : label;
    const described = { ...base, label, field: field as Field, name: '', negative };
    return each(described, values, `${path}.${label}`);
  });
}

function each(
  described: Described,
  values: readonly string[] | undefined,
  listPath: string,
): PolicyValue[] {
  const list = values ?? [];
  return list.map((value, i) => {
    return { ...described, value, path: joinIndex(listPath, i), listPath, list };
  });
}

function fieldOfKey(key: string): Field {
  if (Object.hasOwn(fieldsOfKeys, key)) return fieldsOfKeys[key] ?? 'other';
  if (key.startsWith('request.headers[')) return 'headers';
  return key.startsWith('request.auth.claims[') ? 'claims' : 'other';
}

function nameIn(key: string): string {
  return /\[(.*)\]$/s.exec(key)?.[1] ?? '';
}

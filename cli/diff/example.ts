// An example of a difference as the call that `selvage explain` takes.
import { parseSpiffeId } from '#api/spiffe.ts';
import type { CallDifference } from '#policy/compare/compare.ts';

import type { MeshCall } from '../calls/mesh-call.ts';

/** @param accounts those that there are, as `namespace/account` */
export function callOf(
  { example, said }: CallDifference,
  workload: string,
  accounts: ReadonlySet<string>,
  trustDomain: string,
): MeshCall {
  const { carriage, identity, method, path, host, headers, claims, authorizers } = example;
  const { remoteIp, sourceIp, destinationIp, sni } = example;
  const tcp = carriage.kind === 'tcp';
  const lines = remoteIp === null ? headers : { ...headers, 'x-forwarded-for': [remoteIp] };
  const answers = new Set(Object.values(authorizers));
  return {
    from: callerOf(identity, accounts, trustDomain),
    to: workload,
    port: carriage.port,
    ...(tcp ? { tcp } : { method, path }),
    ...(!tcp && said.has('host') && { host }),
    ...(!tcp && Object.keys(lines).length > 0 && { headers: lines }),
    ...(!tcp && claims !== null && { token: claims }),
    ...(said.has('source.ip') && { ip: sourceIp }),
    ...(said.has('destination.ip') && { destinationIp }),
    ...((carriage.mtls || carriage.relayed === true) && sni !== null && { sni }),
    // All refuse, or all let pass: explain knows one answer.
    ...(answers.size > 0 && { authorizer: answers.has(false) ? 'deny' : 'allow' }),
  };
}

/** The arguments of `selvage explain`, without the files. */
export function argumentsOf(call: MeshCall): string[] {
  const { from, to, port, method, path, host, headers = {}, token, ip, tcp, authorizer } = call;
  const { destinationIp, sni } = call;
  return [
    ...one('from', from),
    ...one('to', to),
    ...one('port', port),
    ...(tcp === true ? ['--tcp'] : []),
    ...one('method', method),
    ...one('path', path),
    ...one('host', host),
    ...Object.entries(headers).flatMap(([name, values]) =>
      [values].flat().flatMap((value) => one('header', `${name}=${value}`)),
    ),
    ...one('token', token === undefined ? undefined : JSON.stringify(token)),
    ...one('ip', ip),
    ...one('destination-ip', destinationIp),
    ...one('sni', sni),
    ...one('authorizer', authorizer),
  ];
}

function one(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [`--${name}`, String(value)];
}

/** As a shell takes it. */
export function shellLine(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}

function callerOf(
  identity: string | null,
  accounts: ReadonlySet<string>,
  trustDomain: string,
): string {
  if (identity === null) return 'none';
  const id = parseSpiffeId(identity);
  const account = `${id?.namespace}/${id?.serviceAccount}`;
  if (id?.trustDomain === trustDomain && accounts.has(account)) return account;
  return identity.replace('spiffe://', '');
}

// The policy semantics once more, straight over the YAML's structures with one regular expression for each value.
import type { AuthorizationPolicy, Rule } from '#api/kinds/authorization-policy.ts';
import type { PolicyInput } from '#policy/compile.ts';
import type { ConnectionFacts, RequestFacts } from '#policy/facts.ts';
import { BlockList, isIP } from 'node:net';

export interface NaiveVerdict {
  readonly allowed: boolean;
  /** `ns[NS]-policy[NAME]-rule[I]`; `none` when no rule decided. */
  readonly by: string;
}

/** @param r null: the TCP chain */
export function naiveDecide(
  input: PolicyInput,
  c: ConnectionFacts,
  r: RequestFacts | null,
): NaiveVerdict {
  const policies = input.policies
    .filter((policy) => policy.kind === 'AuthorizationPolicy')
    .filter((policy) => applies(policy, input))
    .filter((policy) => policy.metadata.annotations['istio.io/dry-run'] !== 'true');
  const call = { c, r, domains: [input.mesh.trustDomain, ...input.mesh.trustDomainAliases] };
  const [denied] = matching(policies, 'DENY', call);
  if (denied !== undefined) return { allowed: false, by: denied };
  if (policies.every((policy) => policy.spec.action !== 'ALLOW')) {
    return { allowed: true, by: 'none' };
  }
  const [allowed] = matching(policies, 'ALLOW', call);
  return { allowed: allowed !== undefined, by: allowed ?? 'none' };
}

export function naiveAudited(
  input: PolicyInput,
  c: ConnectionFacts,
  r: RequestFacts | null,
): readonly string[] {
  const policies = input.policies
    .filter((policy) => policy.kind === 'AuthorizationPolicy')
    .filter((policy) => applies(policy, input))
    .filter((policy) => policy.metadata.annotations['istio.io/dry-run'] !== 'true');
  const domains = [input.mesh.trustDomain, ...input.mesh.trustDomainAliases];
  return matching(policies, 'AUDIT', { c, r, domains });
}

interface Call {
  readonly c: ConnectionFacts;
  readonly r: RequestFacts | null;
  readonly domains: readonly string[];
}

function applies(policy: AuthorizationPolicy, { workload, mesh }: PolicyInput): boolean {
  const { namespace } = policy.metadata;
  const labels = Object.entries(policy.spec.selector?.matchLabels ?? {});
  return (
    [workload.namespace, mesh.rootNamespace].includes(namespace) &&
    policy.spec.targetRef === undefined &&
    (policy.spec.targetRefs ?? []).length === 0 &&
    labels.every(([name, value]) => workload.labels[name] === value)
  );
}

function matching(
  policies: readonly AuthorizationPolicy[],
  action: 'ALLOW' | 'DENY' | 'AUDIT',
  call: Call,
): string[] {
  const names: string[] = [];
  for (const policy of policies.filter(({ spec }) => spec.action === action)) {
    for (const [i, rule] of (policy.spec.rules ?? []).entries()) {
      if (!ruleMatches(policy, rule, call)) continue;
      names.push(`ns[${policy.metadata.namespace}]-policy[${policy.metadata.name}]-rule[${i}]`);
    }
  }
  return names.toSorted((a, b) => (a < b ? -1 : 1));
}

/** What the values of a field say of a call; `unusable` for each value that cannot be asked. */
type Answer = boolean | 'unusable';
type Ask = (value: string) => Answer;

interface Field {
  readonly ask: Ask;
  readonly values: readonly string[];
  readonly not: boolean;
}

function ruleMatches(policy: AuthorizationPolicy, rule: Rule, call: Call): boolean {
  const whens: Field[] = [];
  for (const when of rule.when ?? []) {
    const ask = askWhen(when.key, policy, call);
    if (ask === null) return false;
    whens.push(...both(ask, when.values, when.notValues));
  }
  const froms = (rule.from?.length ? rule.from : [{}]).map((from) =>
    sourceFields(from.source ?? {}, policy, call),
  );
  const tos = (rule.to?.length ? rule.to : [{}]).map((to) =>
    operationFields(to.operation ?? {}, call),
  );
  const allFields = [...whens, ...froms.flat(), ...tos.flat()];
  const unusable = allFields.some((field) =>
    field.values.some((value) => field.ask(value) === 'unusable'),
  );
  if (policy.spec.action === 'ALLOW' && unusable) return false;
  return (
    whens.every(holds) &&
    froms.some((fields) => fields.every(holds)) &&
    tos.some((fields) => fields.every(holds))
  );
}

function holds({ ask, values, not }: Field): boolean {
  const answers = values.map(ask).filter((answer) => answer !== 'unusable');
  if (answers.length === 0) return true;
  return answers.includes(true) !== not;
}

function both(
  ask: Ask,
  values: readonly string[] = [],
  notValues: readonly string[] = [],
): Field[] {
  const fields: Field[] = [];
  if (values.length > 0) fields.push({ ask, values, not: false });
  if (notValues.length > 0) fields.push({ ask, values: notValues, not: true });
  return fields;
}

function sourceFields(
  source: NonNullable<NonNullable<Rule['from']>[number]['source']>,
  policy: AuthorizationPolicy,
  call: Call,
): Field[] {
  const s = source;
  return [
    ...both(askPrincipal(call), s.principals, s.notPrincipals),
    ...both(askRequestPrincipal(call), s.requestPrincipals, s.notRequestPrincipals),
    ...both(askNamespace(call), s.namespaces, s.notNamespaces),
    ...both(askServiceAccount(policy, call), s.serviceAccounts, s.notServiceAccounts),
    ...both(askTrustDomain(call), s.trustDomains, s.notTrustDomains),
    ...both(askIp(call.c.sourceIp), s.ipBlocks, s.notIpBlocks),
    ...both(askIp(remoteIp(call)), s.remoteIpBlocks, s.notRemoteIpBlocks),
  ];
}

function operationFields(
  operation: NonNullable<NonNullable<Rule['to']>[number]['operation']>,
  { c, r }: Call,
): Field[] {
  const o = operation;
  const path = r?.path.split('?')[0] ?? '';
  return [
    ...both(
      askHttp(r, (v) => wild(v, r?.authority ?? '', 'i', '.*')),
      o.hosts,
      o.notHosts,
    ),
    ...both(
      askHttp(r, (v) => wild(v, r?.method ?? '', '', '.*')),
      o.methods,
      o.notMethods,
    ),
    ...both(
      askHttp(r, (v) => askPath(v, path)),
      o.paths,
      o.notPaths,
    ),
    ...both(askPort(c), o.ports, o.notPorts),
  ];
}

function askWhen(key: string, policy: AuthorizationPolicy, call: Call): Ask | null {
  const { c, r } = call;
  const header = /^request\.headers\[(.*)\]$/.exec(key);
  if (header !== null) {
    const lines = headerLines(r, (header[1] ?? '').toLowerCase());
    return askHttp(r, (v) => lines.some((line) => wild(v, line, '', '.*')));
  }
  if (key.startsWith('request.headers')) return () => 'unusable';
  const claim = /^request\.auth\.claims((\[[^[\]]*\])+)$/.exec(key);
  if (claim !== null) {
    return askClaim(call, (claim[1] ?? '').slice(1, -1).split(']['));
  }
  const asks: Record<string, Ask> = {
    'source.ip': askIp(c.sourceIp),
    'remote.ip': askIp(remoteIp(call)),
    'destination.ip': askIp(c.destinationIp),
    'destination.port': askPort(c),
    'connection.sni': (v) => wild(v, c.sni),
    'source.namespace': askNamespace(call),
    'source.principal': askPrincipal(call),
    'source.serviceAccount': askServiceAccount(policy, call),
    'source.trustDomain': askTrustDomain(call),
    'request.auth.principal': askRequestPrincipal(call),
    'request.auth.audiences': askClaim(call, ['aud']),
    'request.auth.presenter': askClaim(call, ['azp']),
  };
  return asks[key] ?? null;
}

function askHttp(r: RequestFacts | null, ask: (value: string) => Answer): Ask {
  return r === null ? () => 'unusable' : ask;
}

function quote(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9]/g, String.raw`\$&`);
}

/** Istio's wildcards. @param star what `*` alone means */
function wild(value: string, text: string, flags = '', star = '.+'): boolean {
  let pattern = quote(value);
  if (value === '*') pattern = star;
  else if (value.startsWith('*')) pattern = `.*${quote(value.slice(1))}`;
  else if (value.endsWith('*')) pattern = `${quote(value.slice(0, -1))}.*`;
  return new RegExp(`^(?:${pattern})$`, `s${flags}`).test(text);
}

function askPath(value: string, path: string): Answer {
  if (!value.includes('{*}') && !value.includes('{**}')) return wild(value, path);
  const pchar = String.raw`A-Za-z0-9\-._~%!$&'()*+,;:@=`;
  const parts = value.split(/(\{\*\*?\})/);
  if (/\{\*\*\}.*\{\*/.test(value)) return 'unusable';
  const pattern = parts.map((part) =>
    part === '{*}' ? `[${pchar}]+` : part === '{**}' ? `[${pchar}/]*` : quote(part),
  );
  return new RegExp(`^${pattern.join('')}$`).test(path);
}

function askPort(c: ConnectionFacts): Ask {
  return (value) =>
    /^\d+$/.test(value) && Number(value) < 65_536
      ? Number(value) === c.destinationPort
      : 'unusable';
}

function askPrincipal({ c, domains }: Call): Ask {
  return (value) => {
    const parts = value.split('/');
    const [domain = ''] = parts;
    const ours =
      domain === 'cluster.local' || domains.some((d) => wild(domain, d) || wild(d, domain));
    const expanded =
      parts.length === 5 && domain !== '*' && ours
        ? domains.map((d) =>
            domain.startsWith('*') && wild(domain, d) ? value : [d, ...parts.slice(1)].join('/'),
          )
        : [value];
    return expanded.some((one) =>
      c.identities.some((id) =>
        one === '*' ? id !== '' : id.startsWith('spiffe://') && wild(one, id.slice(9)),
      ),
    );
  };
}

function askNamespace({ c }: Call): Ask {
  return (value) => {
    const pattern = value.split('*').map(quote).join('.*');
    return c.identities.some((id) => new RegExp(`^.*/ns/${pattern}/.*$`).test(id));
  };
}

function askServiceAccount(policy: AuthorizationPolicy, { c }: Call): Ask {
  return (value) => {
    const [ns, sa] = value.includes('/')
      ? [value.slice(0, value.indexOf('/')), value.slice(value.indexOf('/') + 1)]
      : [policy.metadata.namespace, value];
    const pattern = `^spiffe://.+/ns/${quote(ns)}/(.+/|)sa/${quote(sa)}(/.+)?$`;
    return c.identities.some((id) => new RegExp(pattern).test(id));
  };
}

function askTrustDomain({ c, domains }: Call): Ask {
  return (value) => {
    const all = domains.includes(value) ? domains : [value];
    return all.some((one) => {
      const pattern = one.split('*').map(quote).join('[^/]*');
      return c.identities.some((id) => new RegExp(`^spiffe://${pattern}/`).test(id));
    });
  };
}

function askIp(address: string): Ask {
  return (value) => {
    const [base = '', bits] = value.split('/');
    const version = isIP(base);
    const most = version === 4 ? 32 : 128;
    if (version === 0 || (bits !== undefined && !(/^\d+$/.test(bits) && Number(bits) <= most))) {
      return 'unusable';
    }
    if (isIP(address) !== version) return false;
    const family = version === 4 ? 'ipv4' : 'ipv6';
    const list = new BlockList();
    list.addSubnet(base, Number(bits ?? most), family);
    return list.check(address, family);
  };
}

function remoteIp({ c, r }: Call): string {
  const all = (r?.values('x-forwarded-for') ?? []).filter((line) => line !== '').join(',');
  const last = all.split(',').at(-1)?.trim() ?? '';
  return isIP(last) === 0 ? c.sourceIp : last;
}

function askRequestPrincipal({ r }: Call): Ask {
  return askHttp(r, (value) => {
    const iss = r?.token?.payload['iss'];
    const sub = r?.token?.payload['sub'];
    if (typeof iss !== 'string' || typeof sub !== 'string') return false;
    const at = value.lastIndexOf('/');
    const [i, s] = at === -1 ? [value, ''] : [value.slice(0, at), value.slice(at + 1)];
    if (value === '*') return iss !== '' && sub !== '';
    if (value.startsWith('*')) {
      return at === -1 ? iss !== '' && wild(value, sub) : wild(i, iss) && s === sub;
    }
    if (value.endsWith('*')) {
      return at === -1 ? wild(value, iss) && sub !== '' : i === iss && wild(s, sub);
    }
    return i === iss && s === sub;
  });
}

function askClaim({ r }: Call, path: readonly string[]): Ask {
  return askHttp(r, (value) => {
    let claim: unknown = r?.token?.payload;
    for (const name of path) {
      if (typeof claim !== 'object' || claim === null || Array.isArray(claim)) return false;
      claim = (claim as Record<string, unknown>)[name];
    }
    const split = ['scope', 'permission', ...(r?.token?.spaceDelimitedClaims ?? [])];
    if (typeof claim === 'string' && path.length === 1 && split.includes(path[0] ?? '')) {
      claim = claim.split(' ').filter((word) => word !== '');
    }
    const list: unknown[] = Array.isArray(claim) ? claim : [claim];
    return list.some((one) => typeof one === 'string' && wild(value, one));
  });
}

function headerLines(r: RequestFacts | null, name: string): readonly string[] {
  if (r === null) return [];
  if (name === ':authority' || name === 'host') return [r.authority];
  if (name === ':method') return [r.method];
  if (name === ':path') return [r.path];
  return name === ':scheme' ? [r.scheme] : r.values(name);
}

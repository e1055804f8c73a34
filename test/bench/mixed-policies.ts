// Policies as a large mesh has them, and calls to go with them: some that a rule means, some that none does.
import type { AuthorizationPolicy, Rule } from '#api/kinds/authorization-policy.ts';
import { meshConfig } from '#api/kinds/mesh-config.ts';
import type { Workload } from '#api/workload.ts';
import { compilePolicies, type CompiledPolicies } from '#policy/compile.ts';
import type { ConnectionFacts, RequestFacts } from '#policy/facts.ts';

export interface Call {
  readonly connection: ConnectionFacts;
  readonly request: RequestFacts;
}

const workload: Workload = {
  namespace: 'shop',
  name: 'cart',
  labels: { app: 'cart' },
  serviceAccount: 'cart',
  ports: [{ port: 8080, name: 'http', protocol: 'http' }],
};
const methods = ['GET', 'POST', 'PUT', 'DELETE'];

/** The same policies each time. @param count of policies, each with one or two rules */
export function mixedPolicies(count: number): AuthorizationPolicy[] {
  return Array.from({ length: count }, (_, i) => {
    const deny = i % 10 === 3;
    const rules = i % 4 === 0 ? [ruleOf(i), ruleOf(i + count)] : [ruleOf(i)];
    return {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: `policy-${i}`, namespace: 'shop', labels: {}, annotations: {} },
      spec: { action: deny ? 'DENY' : 'ALLOW', rules: deny ? [denial(i)] : rules },
    };
  });
}

export function compileMixed(count: number): CompiledPolicies {
  return compilePolicies({ mesh: meshConfig.parse({}), workload, policies: mixedPolicies(count) });
}

/** Calls in turn from each caller: three of four that a rule means, one to a path that no rule names. */
export function mixedCalls(count: number, calls: number): Call[] {
  return Array.from({ length: calls }, (_, n) => {
    const i = (n * 7919) % count;
    const headers = new Map([['x-tenant', [`tenant-${i}`]]]);
    return {
      connection: {
        mtls: true,
        identities: [`spiffe://cluster.local/ns/${namespaceOf(i)}/sa/${accountOf(i)}`],
        sourceIp: `10.${i % 200}.${n % 250}.7`,
        destinationIp: '10.1.0.1',
        destinationPort: 8080,
        sni: 'outbound_.8080_._.cart.shop.svc.cluster.local',
      },
      request: {
        method: methods[i % 4] ?? 'GET',
        path: n % 4 === 3 ? `/nowhere/${i}` : `/api/v1/things-${i}/items/12345?page=2`,
        authority: `cart-${i % 20}.shop.svc.cluster.local:8080`,
        scheme: 'https',
        token: null,
        values: (name) => headers.get(name) ?? none,
      },
    };
  });
}

const none: readonly string[] = [];

function namespaceOf(i: number): string {
  return `team-${i % 40}`;
}

function accountOf(i: number): string {
  return `service-${i % 400}`;
}

function ruleOf(i: number): Rule {
  const path = `/api/v1/things-${i}`;
  const principal = `cluster.local/ns/${namespaceOf(i)}/sa/${accountOf(i)}`;
  const method = methods[i % 4] ?? 'GET';
  switch (i % 12) {
    case 0:
      return { from: [{ source: { namespaces: [namespaceOf(i)] } }], to: to(path, method) };
    case 1:
      return {
        from: [{ source: { principals: [principal], ipBlocks: ['10.0.0.0/8'] } }],
        to: [{ operation: { ports: ['8080'], paths: [`${path}/{*}/{**}`] } }],
      };
    case 2:
      return {
        from: [{ source: { principals: ['*'] } }],
        to: to(path, method),
        when: [{ key: 'request.headers[x-tenant]', values: [`tenant-${i}`] }],
      };
    case 4:
      return {
        from: [{ source: { serviceAccounts: [`${namespaceOf(i)}/${accountOf(i)}`] } }],
        to: [{ operation: { hosts: [`cart-${i % 20}.*`], methods: [method] } }],
      };
    case 5:
      return {
        from: [{ source: { requestPrincipals: [`https://issuer/user-${i}`] } }],
        to: to(path, method),
      };
    case 6:
      return { from: [{ source: { ipBlocks: [`10.${i % 200}.0.0/16`] } }], to: to(path, method) };
    default:
      return {
        from: [{ source: { principals: [principal, `*/sa/job-${i}`] } }],
        to: to(path, method),
      };
  }
}

function to(path: string, method: string): Rule['to'] {
  return [{ operation: { methods: [method, 'HEAD'], paths: [`${path}/*`, path] } }];
}

function denial(i: number): Rule {
  return {
    from: [{ source: { notPrincipals: [`cluster.local/ns/${namespaceOf(i)}/sa/admin`] } }],
    to: [{ operation: { paths: [`/api/v1/things-${i}/admin*`] } }],
  };
}

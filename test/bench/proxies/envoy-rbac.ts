// The ten rules as istiod writes them for Envoy: of requests, and of connections.
import { rules } from '../world.ts';
import { extensions } from './envoy-config.ts';

export function httpRbac(): object {
  const policies = rules.map(({ principal, methods, path }) => ({
    permissions: [
      {
        and_rules: {
          rules: [
            {
              or_rules: {
                rules: methods.map((method) => ({
                  header: { name: ':method', string_match: { exact: method } },
                })),
              },
            },
            { or_rules: { rules: [{ url_path: { path: { prefix: path } } }] } },
          ],
        },
      },
    ],
    principals: principals(principal),
  }));
  return {
    name: 'envoy.filters.http.rbac',
    typed_config: {
      '@type': `${extensions}.filters.http.rbac.v3.RBAC`,
      rules: { action: 'ALLOW', policies: named(policies) },
    },
  };
}

export function networkRbac(): object {
  const policies = rules.map(({ principal }) => ({
    permissions: [{ and_rules: { rules: [{ any: true }] } }],
    principals: principals(principal),
  }));
  return {
    name: 'envoy.filters.network.rbac',
    typed_config: {
      '@type': `${extensions}.filters.network.rbac.v3.RBAC`,
      stat_prefix: 'tcp.',
      rules: { action: 'ALLOW', policies: named(policies) },
    },
  };
}

function principals(principal: string): object[] {
  const authenticated = { principal_name: { exact: `spiffe://${principal}` } };
  return [{ and_ids: { ids: [{ or_ids: { ids: [{ authenticated }] } }] } }];
}

function named(policies: readonly object[]): Record<string, object> {
  return Object.fromEntries(
    policies.map((policy, i) => [`ns[bench]-policy[${rules[i]?.name}]-rule[0]`, policy]),
  );
}

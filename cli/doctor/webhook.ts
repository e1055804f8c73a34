// Whether the API server asks the injector, trusts it, and gets an answer.
import { proxyName, systemNamespace } from '#api/injection/names.ts';

import { installed } from '../cluster/inventory.ts';
import { counted, type Finding, listed, whenKnown } from './finding.ts';
import { certificatesOf, isSameBundle } from './pem.ts';
import type { ClusterState, WebhookConfiguration } from './state.ts';

const check = 'webhook';
const mendLogs = `kubectl logs -n ${systemNamespace} deployment/selvage-injector`;
const mendInstall = 'selvage install | kubectl apply -f -';

export function checkWebhook(state: ClusterState): readonly Finding[] {
  return [
    ...whenKnown(check, state.webhooks, (webhooks) => [
      ...kinds.map((kind) => checkConfiguration(kind, webhooks, state)),
      ...otherInjectors(webhooks),
    ]),
    ...checkInjection(state),
  ];
}

const kinds = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'] as const;

function checkConfiguration(
  kind: WebhookConfiguration['kind'],
  webhooks: readonly WebhookConfiguration[],
  { bundles }: ClusterState,
): Finding {
  const found = webhooks.find((one) => isOurs(one, kind));
  if (found === undefined) {
    const then = kind.startsWith('Mutating') ? 'no pod gets a sidecar' : 'bad resources are taken';
    const message = `there is no ${kind} of Selvage's: ${then}`;
    return { check, level: 'problem', message, mend: mendInstall };
  }
  const subject = `${kind} ${found.name}`;
  const empty = found.caBundles.filter((pem) => certificatesOf(pem).length === 0).length;
  if (empty > 0) {
    const message = `${subject}: ${empty} of ${counted(found.caBundles.length, 'webhook')} has no caBundle: the API server trusts no injector`;
    return { check, level: 'problem', message, mend: mendLogs };
  }
  const bundle = 'value' in bundles ? bundles.value.get(systemNamespace) : undefined;
  if (bundle === undefined) {
    return { check, level: 'ok', message: `${subject} is there, with a caBundle` };
  }
  if (!found.caBundles.every((pem) => isSameBundle(pem, bundle))) {
    const message = `${subject}: its caBundle is not the mesh's trust bundle`;
    return {
      check,
      level: 'problem',
      message,
      mend: `the injector keeps it up to date: ${mendLogs}`,
    };
  }
  return { check, level: 'ok', message: `${subject} is there, and trusts the mesh's CA` };
}

function isOurs(one: WebhookConfiguration, kind: WebhookConfiguration['kind']): boolean {
  return one.kind === kind && one.labels[installed.key] === installed.value;
}

/** Two injectors that heed the same label put two sidecars into a pod. */
function otherInjectors(webhooks: readonly WebhookConfiguration[]): Finding[] {
  const names = webhooks
    .filter(({ name }) =>
      /^(istio-sidecar-injector|istio-revision-tag|linkerd-proxy-injector)/.test(name),
    )
    .map(({ name }) => name);
  if (names.length === 0) return [];
  const message = `another mesh injects here too: ${listed(names)}; a pod that both take has two sidecars`;
  const mend = 'mark pods with inject: "true" (which only Selvage heeds), not their namespace';
  return [{ check, level: 'warning', message, mend }];
}

function checkInjection({ injection, webhooks }: ClusterState): readonly Finding[] {
  const configured =
    !('value' in webhooks) ||
    webhooks.value.some((one) => isOurs(one, 'MutatingWebhookConfiguration'));
  // Nobody is asked, and that is told already.
  if (!configured) return [];
  return whenKnown('injection', injection, ({ namespace, containers, refusal }) => {
    const check = 'injection';
    if (refusal !== '') {
      const isWebhook = /webhook/i.test(refusal);
      const message = `a pod that asks for a sidecar is refused in ${namespace}: ${refusal}`;
      return [{ check, level: 'problem', message, ...(isWebhook ? { mend: mendLogs } : {}) }];
    }
    if (!containers.includes(proxyName)) {
      const message = `a pod that asks for a sidecar gets none in ${namespace}`;
      return [{ check, level: 'problem', message, mend: mendLogs }];
    }
    const message = `a pod that asks for a sidecar gets one (dry run in ${namespace})`;
    return [{ check, level: 'ok', message }];
  });
}

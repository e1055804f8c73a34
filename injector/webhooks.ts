// The webhook configurations of a cluster: which requests come here, and which never do. Manifests are made from this.
import { carriedAnnotation, namespaceLabels, protectedNamespaces } from '#api/injection/names.ts';
import { injectionKeys } from '#api/injection.ts';

import { paths } from './paths.ts';

/** Where the API server finds the injector; manifests have the Service, tests a URL. */
export type WebhookTarget =
  | { readonly service: { readonly name: string; readonly namespace: string } }
  | { readonly url: string; readonly caBundle?: string };

export const configurationName = 'selvage-injector';

/** `admissionregistration.k8s.io/v1`, ready to apply. `caBundle` is left to the injector. */
export function mutatingWebhooks(target: WebhookTarget, name = configurationName): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: metadataOf(name),
    webhooks: [
      {
        ...common('namespace.injector.selvage.dev', paths.injectOptedIn, target),
        ...mutating,
        rules: podRules,
        namespaceSelector: { matchExpressions: [...eligible, optedIn('inject')] },
        matchConditions: [podDoesNotRefuse],
      },
      {
        ...common('istio-namespace.injector.selvage.dev', paths.injectOptedIn, target),
        ...mutating,
        rules: podRules,
        namespaceSelector: {
          matchExpressions: [...eligible, optedIn('istio-injection'), notOptedIn('inject')],
        },
        matchConditions: [podDoesNotRefuse],
      },
      {
        ...common('pod.injector.selvage.dev', paths.inject, target),
        ...mutating,
        rules: podRules,
        namespaceSelector: {
          matchExpressions: [...eligible, ...namespaceLabels.map(({ key }) => notOptedIn(key))],
        },
        matchConditions: [podAsks, podDoesNotRefuse],
      },
      {
        ...common('workload.injector.selvage.dev', paths.inject, target),
        ...mutating,
        rules: [
          rule('apps', ['deployments', 'statefulsets', 'daemonsets', 'replicasets']),
          rule('batch', ['jobs']),
        ],
        namespaceSelector: { matchExpressions: [...eligible] },
        matchConditions: [notMadeFromTemplate, workloadMarkIsNotCarried],
      },
      {
        ...common('cronjob.injector.selvage.dev', paths.inject, target),
        ...mutating,
        rules: [rule('batch', ['cronjobs'])],
        namespaceSelector: { matchExpressions: [...eligible] },
        matchConditions: [cronJobMarkIsNotCarried],
      },
    ],
  };
}

/** For the kinds that `selvage check` knows, in any version that is served. */
export function validatingWebhooks(target: WebhookTarget, name = configurationName): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: metadataOf(name),
    webhooks: [
      {
        ...common('validation.selvage.dev', paths.validate, target),
        rules: validatedResources.map(([group, resources]) => ({
          apiGroups: [group],
          apiVersions: ['*'],
          resources,
          operations: ['CREATE', 'UPDATE'],
          scope: 'Namespaced',
        })),
        matchConditions: [specChanges],
      },
    ],
  };
}

/** By group. Routes of the Gateway API may be for others: their CRDs check them, and their status says the rest. */
export const validatedResources: readonly (readonly [group: string, resources: string[]])[] = [
  ['security.istio.io', ['authorizationpolicies', 'peerauthentications', 'requestauthentications']],
  [
    'networking.istio.io',
    ['destinationrules', 'serviceentries', 'sidecars', 'virtualservices', 'workloadentries'],
  ],
  ['telemetry.istio.io', ['telemetries']],
  [
    'selvage.dev',
    [
      'apikeyauthentications',
      'circuitbreakers',
      'filters',
      'healthchecks',
      'ratelimits',
      'responsecaches',
      'tokenexchanges',
      'transformations',
    ],
  ],
];

function metadataOf(name: string): object {
  return { name, labels: { 'app.kubernetes.io/part-of': 'selvage' } };
}

const mutating = {
  // Once more, when a webhook after us has added a container whose probes must be rewritten.
  reinvocationPolicy: 'IfNeeded',
};

function common(name: string, path: string, target: WebhookTarget): object {
  const clientConfig =
    'service' in target
      ? { service: { ...target.service, path, port: 443 } }
      : { url: `${target.url}${path}`, ...(target.caBundle && { caBundle: target.caBundle }) };
  return {
    name,
    clientConfig,
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    matchPolicy: 'Equivalent',
    // Whoever asks for a sidecar must not run without one. The conditions keep everybody else out of this.
    failurePolicy: 'Fail',
    timeoutSeconds: 10,
  };
}

function rule(group: string, resources: readonly string[]): object {
  return {
    apiGroups: [group],
    apiVersions: ['v1'],
    resources,
    operations: ['CREATE', 'UPDATE'],
    scope: 'Namespaced',
  };
}

const podRules = [
  {
    apiGroups: [''],
    apiVersions: ['v1'],
    resources: ['pods'],
    operations: ['CREATE'],
    scope: 'Namespaced',
  },
];

interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn';
  readonly values: readonly string[];
}

/** Namespaces that neither keep the cluster alive nor are kept out by a label. */
const eligible: readonly Requirement[] = [
  { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: protectedNamespaces },
  ...namespaceLabels.map(({ key, no }): Requirement => ({ key, operator: 'NotIn', values: [no] })),
];

function optedIn(label: string): Requirement {
  return { key: label, operator: 'In', values: [valueOf(label)] };
}

function notOptedIn(label: string): Requirement {
  return { key: label, operator: 'NotIn', values: [valueOf(label)] };
}

function valueOf(label: string): string {
  return namespaceLabels.find(({ key }) => key === label)?.yes ?? 'true';
}

// CEL. `object` is typed for what Kubernetes itself defines; `?` is for what may be absent.

function annotation(metadata: string, key: string): string {
  return `${metadata}.?annotations[?${quoted(key)}].orValue("")`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

/** One of the metadata says so, under one of the keys, as annotation or as label. */
function isMarked(value: 'true' | 'false', ...metadata: readonly string[]): string {
  const values = metadata.flatMap((meta) =>
    injectionKeys.flatMap((key) => [
      annotation(meta, key),
      `${meta}.?labels[?${quoted(key)}].orValue("")`,
    ]),
  );
  return `${quoted(value)} in [${values.join(', ')}]`;
}

const carriedOnPod = annotation('object.metadata', carriedAnnotation);

const podAsks = {
  name: 'the-pod-asks-for-a-sidecar',
  expression: `${isMarked('true', 'object.metadata')} || ${carriedOnPod} == "true"`,
};

const podDoesNotRefuse = {
  name: 'the-pod-does-not-refuse-it',
  expression: `!(${isMarked('false', 'object.metadata')} || ${carriedOnPod} == "false")`,
};

const notMadeFromTemplate = {
  name: 'not-made-from-the-template-of-another',
  expression:
    '!object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false) && (request.kind.kind == "ReplicaSet" || (request.kind.kind == "Job" && o.kind == "CronJob")))',
};

/** "false", "true", or nothing: what they say together. */
function verdict(...metadata: readonly string[]): string {
  return `(${isMarked('false', ...metadata)} ? "false" : ${isMarked('true', ...metadata)} ? "true" : "")`;
}

/** The same as api/injection/annotate-workload.ts: whoever has nothing to be changed never comes here. */
function markIsNotCarried(template: string, ...metadata: readonly string[]): string {
  const own = `${template}.?metadata`;
  const all = verdict(...metadata, own);
  const alone = verdict(own);
  const wanted = `(${all} == ${alone} ? "" : ${all})`;
  return `${wanted} != ${annotation(own, carriedAnnotation)}`;
}

const workloadMarkIsNotCarried = {
  name: 'its-mark-is-not-on-its-template',
  expression: markIsNotCarried('object.spec.template', 'object.metadata'),
};

const cronJobMarkIsNotCarried = {
  name: 'its-mark-is-not-on-its-template',
  expression: markIsNotCarried(
    'object.spec.jobTemplate.spec.template',
    'object.metadata',
    'object.spec.jobTemplate.?metadata',
  ),
};

const specChanges = {
  name: 'the-spec-changes',
  expression:
    'request.operation != "UPDATE" || (has(object.spec) ? object.spec : {}) != (has(oldObject.spec) ? oldObject.spec : {})',
};

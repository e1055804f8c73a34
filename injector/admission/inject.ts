// The verdict on a Pod, or on a workload with a template of one: the patch that gives it what it asks for.
import type { AdmissionRequest, Verdict } from '#api/admission-review.ts';
import { annotateWorkload } from '#api/injection/annotate-workload.ts';
import type { InjectionConfig } from '#api/injection/config.ts';
import { injectPod } from '#api/injection/inject-pod.ts';
import { diffJson } from '#api/injection/json-patch.ts';
import { workloadKinds } from '#api/injection/manifest.ts';
import { isProtected } from '#api/injection/names.ts';
import type { NamespaceStance } from '#api/injection.ts';

export interface InjectVerdict extends Verdict {
  /** `none`: nothing to do. */
  readonly outcome: 'injected' | 'annotated' | 'none' | 'refused';
  /** For the log: why there is nothing to do. */
  readonly reason: string;
}

/** Pure: it makes no difference whether the request is a dry run. */
export function judgeInjection(
  request: AdmissionRequest,
  stance: NamespaceStance,
  config: InjectionConfig,
): InjectVerdict {
  const { kind, namespace, operation, object, oldObject } = request;
  if (kind.kind === 'Pod' && operation === 'CREATE') return judgePod(request, stance, config);
  const known = workloadKinds.some((name) => name === kind.kind);
  if (!known || (operation !== 'CREATE' && operation !== 'UPDATE')) {
    return nothing(`nothing is done on ${operation} of ${kind.kind}`);
  }
  if (isProtected(namespace ?? '')) return nothing('nothing there gets a sidecar');
  const changed = annotateWorkload(object, operation === 'UPDATE' ? oldObject : undefined);
  // The API server reads the object after us, and says better what is wrong with it.
  if (typeof changed === 'string') return nothing(`it cannot be read: ${changed}`);
  const patch = diffJson(object, changed);
  if (patch.length === 0) return nothing('its template says as much');
  return { allowed: true, outcome: 'annotated', reason: '', patch };
}

function judgePod(
  { object, namespace, name }: AdmissionRequest,
  stance: NamespaceStance,
  config: InjectionConfig,
): InjectVerdict {
  const injection = injectPod(object, { namespace: namespace ?? '', stance }, config);
  if (injection.outcome === 'refused') {
    const shown = nameOf(object, name);
    const message = `Pod ${namespace ?? ''}/${shown} cannot have a sidecar: ${injection.refusal}`;
    return { allowed: false, outcome: 'refused', reason: injection.refusal, message };
  }
  const { outcome, pod, warnings, reason } = injection;
  return {
    allowed: true,
    outcome: outcome === 'injected' ? 'injected' : 'none',
    reason,
    warnings,
    patch: diffJson(object, pod),
  };
}

/** A Pod of a controller has no name yet, only the beginning of one. */
function nameOf(object: unknown, name: string | null | undefined): string {
  if (name) return name;
  if (typeof object !== 'object' || object === null || !('metadata' in object)) return '?';
  const { metadata } = object;
  if (typeof metadata !== 'object' || metadata === null) return '?';
  const { name: own, generateName } = metadata as Record<string, unknown>;
  const shown = own ?? generateName;
  return typeof shown === 'string' ? shown : '?';
}

function nothing(reason: string): InjectVerdict {
  return { allowed: true, outcome: 'none', reason };
}

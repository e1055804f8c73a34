// Who is calling: a bearer token becomes a proven identity, or a refusal.
import { Refusal } from '../refusal.ts';

export interface ProvenIdentity {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod where the token is bound to one, for the audit; '' where it is not. */
  readonly pod: string;
  /** Of the pod; names are used again, these never. '' where it is not known. */
  readonly podUid: string;
}

/** JWKS in a local mesh; TokenReview in Kubernetes. */
export interface Authenticator {
  /** Throws Refusal (`token-*`, or `keys-unavailable` when it cannot tell). */
  authenticate(bearer: string): Promise<ProvenIdentity>;
}

/** A namespace is a DNS label, a service account a DNS subdomain (Kubernetes object names). */
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const subdomain =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

/** `system:serviceaccount:NAMESPACE:NAME`, as Kubernetes writes the subject of a service-account token. */
export function parseSubject(subject: string): { namespace: string; serviceAccount: string } {
  const parts = subject.split(':');
  const [system, kind, namespace = '', serviceAccount = ''] = parts;
  const shaped = parts.length === 4 && system === 'system' && kind === 'serviceaccount';
  // Unchecked, a name with "/" would become another identity's path.
  if (!shaped || !label.test(namespace) || !subdomain.test(serviceAccount)) {
    throw new Refusal(
      'token-subject',
      'the subject of the token is not system:serviceaccount:NAMESPACE:NAME',
    );
  }
  return { namespace, serviceAccount };
}

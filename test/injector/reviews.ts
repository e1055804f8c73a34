// Admission reviews as the API server sends them.

/** The body of a request for `object`. */
export function reviewOf(object: object, over: object = {}): string {
  const { apiVersion = 'v1', kind = 'Pod' } = object as { apiVersion?: string; kind?: string };
  const [version = '', group = ''] = apiVersion.split('/').toReversed();
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
      kind: { group, version, kind },
      resource: { group, version, resource: `${kind.toLowerCase()}s` },
      operation: 'CREATE',
      namespace: 'shop',
      userInfo: { username: 'admin' },
      object,
      oldObject: null,
      dryRun: false,
      options: null,
      ...over,
    },
  });
}

export interface ReviewAnswer {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: { readonly code: number; readonly message: string };
  readonly warnings?: readonly string[];
  readonly patchType?: string;
  readonly patch?: string;
}

export function answerOf(body: string): ReviewAnswer {
  const review = JSON.parse(body) as { apiVersion: string; kind: string; response: ReviewAnswer };
  if (review.apiVersion !== 'admission.k8s.io/v1' || review.kind !== 'AdmissionReview') {
    throw new Error(`no review: ${body}`);
  }
  return review.response;
}

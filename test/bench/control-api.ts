// A fake API server in a process of its own, for control-cluster.ts: objects come as messages.
import { FakeApi, type NewObject } from '../runtime/kubernetes/fake-api.ts';

/** Objects to put, by collection. */
export type Puts = readonly { readonly collection: string; readonly object: NewObject }[];

export interface ApiReady {
  readonly url: string;
  readonly caPem: string;
}

const api = await FakeApi.start();
process.on('message', (puts: Puts) => {
  for (const { collection, object } of puts) api.put(collection, object);
  process.send?.({ url: api.url, caPem: api.caPem } satisfies ApiReady);
});

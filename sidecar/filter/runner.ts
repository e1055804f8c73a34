// The thread of one filter: loads the user's file and calls its functions, one message for each call.
import { stripTypeScriptTypes } from 'node:module';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';

import type { OnRequest, OnResponse } from '#api/filter.ts';

import type { FilterCall, FilterStart } from './messages.ts';

/** What the sidecar hears of it. */
export type FromFilter =
  | { readonly kind: 'ready' }
  | { readonly kind: 'broken'; readonly why: string }
  | { readonly kind: 'result'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'threw'; readonly id: number; readonly why: string };

interface UserModule {
  readonly onRequest?: unknown;
  readonly onResponse?: unknown;
}

// That Node calls its own type stripping experimental is nothing to a user of filters.
process.emitWarning = () => undefined;

try {
  const { source } = workerData as FilterStart;
  const script = Buffer.from(stripTypeScriptTypes(source)).toString('base64');
  const user = (await import(`data:text/javascript;base64,${script}`)) as UserModule;
  const { onRequest, onResponse } = user;
  if (typeof onRequest !== 'function' && typeof onResponse !== 'function') {
    throw new Error('it exports neither onRequest nor onResponse');
  }
  parentPort?.on('message', (call: FilterCall) => {
    void serve(call, onRequest as OnRequest | undefined, onResponse as OnResponse | undefined);
  });
  tell({ kind: 'ready' });
} catch (error) {
  tell({ kind: 'broken', why: textOf(error) });
}

async function serve(
  { id, request, response }: FilterCall,
  onRequest: OnRequest | undefined,
  onResponse: OnResponse | undefined,
): Promise<void> {
  try {
    const result =
      response === null ? await onRequest?.(request) : await onResponse?.(response, request);
    tell({ kind: 'result', id, result });
  } catch (error) {
    tell({ kind: 'threw', id, why: textOf(error) });
  }
}

function tell(...message: [FromFilter]): void {
  send(parentPort, message);
}

/** A thread's port has no origin, as a window's would. */
function send(port: MessagePort | null, message: [FromFilter]): void {
  port?.postMessage(...message);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// Applies a JSON Patch (RFC 6902), so that tests see what the API server makes of ours.
import type { PatchOperation } from '#api/injection/json-patch.ts';

/** The value changed; the one given stays. @throws Error for an operation that has no place */
export function patched(value: unknown, operations: readonly PatchOperation[]): unknown {
  const root = { '': structuredClone(value) };
  for (const operation of operations) {
    const keys = operation.path
      .split('/')
      .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = keys.pop() ?? '';
    let parent: unknown = root;
    for (const key of keys) parent = child(parent, key, operation.path);
    if (Array.isArray(parent)) applyToList(parent, last, operation);
    else applyToObject(parent as Record<string, unknown>, last, operation);
  }
  return root[''];
}

function child(parent: unknown, key: string, path: string): unknown {
  if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, key)) {
    throw new Error(`there is no ${path}`);
  }
  return (parent as Record<string, unknown>)[key];
}

function applyToList(list: unknown[], key: string, operation: PatchOperation): void {
  const index = Number(key);
  const limit = operation.op === 'add' ? list.length : list.length - 1;
  if (!/^\d+$/.test(key) || index > limit) throw new Error(`there is no ${operation.path}`);
  if (operation.op === 'remove') list.splice(index, 1);
  else list.splice(index, operation.op === 'add' ? 0 : 1, structuredClone(operation.value));
}

function applyToObject(
  object: Record<string, unknown>,
  key: string,
  operation: PatchOperation,
): void {
  if (operation.op !== 'add') child(object, key, operation.path);
  if (operation.op === 'remove') delete object[key];
  else {
    Object.defineProperty(object, key, {
      value: structuredClone(operation.value),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
}

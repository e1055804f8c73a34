// What the sidecar's own calls need is loaded when the first is made: a sidecar that makes none must not pay for it.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
/** Prints which files a start of the data plane loads, and what they and a gRPC authorizer's come to. */
const script = `
import { registerHooks } from 'node:module';
const loaded = [];
registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
await import('#sidecar/data-plane.ts');
await import('#sidecar/configuration.ts');
console.log(JSON.stringify(loaded));
`;

test('a sidecar starts without the parts of gRPC authorizers, undici and jose', async () => {
  const args = ['--input-type=module', '--no-warnings', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  const loaded = JSON.parse(stdout) as string[];
  expect(loaded.some((url) => url.endsWith('/sidecar/authorizer/authorizers.ts'))).toBe(true);
  const lazy =
    /node_modules\/(undici|jose)\/|authorizer\/(grpc-check|check-re|protobuf)|wire\/unary-call/;
  expect(loaded.filter((url) => lazy.test(url))).toEqual([]);
});

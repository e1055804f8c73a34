// `npm run demo -- --once`, as a person runs it.
import { execFile } from 'node:child_process';
import { join } from 'node:path';

import { beforeAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
let output = '';
let status: number | null = null;

beforeAll(async () => {
  await new Promise<void>((resolve) => {
    const child = execFile(
      process.execPath,
      ['cli/main.ts', 'demo', '--once'],
      { cwd: root, timeout: 100_000 },
      (_error, stdout, stderr) => {
        output = stdout + stderr;
        status = child.exitCode;
        resolve();
      },
    );
  });
});

test('it ends well, with every call as expected', () => {
  expect(output).toMatch(/(\d+) of \1 calls went as expected/);
  expect(status).toBe(0);
});

test('it says where traces go, or how to have them; with a Jaeger it links to a call', () => {
  const [, shown] = /^Traces go to http\S+\. Jaeger shows them: (\S+)$/m.exec(output) ?? [];
  const said = shown === undefined ? 'No traces are kept: ' : `a denied call: ${shown}/trace/`;
  expect(output).toContain(said);
});

const rows: [string, RegExp][] = [
  [
    'the right caller is admitted by the rule that says so, on its line',
    /^billing\/billing-sa +payments\/payments +POST \/api\/v1\/charges +201 allowed +[0-9a-f]{32} +payments\/admit-billing rule 0 \(\S*policies\.yaml:32\)$/m,
  ],
  [
    'the wrong caller is denied',
    /^web\/web-sa +payments\/payments +POST \/api\/v1\/charges +403 denied/m,
  ],
  [
    'a denial names what came nearest and what of it did not match',
    /nearest: payments\/admit-billing rule 0 \(\S*policies\.yaml:32\): from\.source\.principals is cluster\.local\/ns\/web\/sa\/web-sa, not cluster\.local\/ns\/billing\/sa\/billing-sa$/m,
  ],
  ['the wrong method is denied', /GET \/api\/v1\/charges +403 denied/],
  ['the wrong path is denied', /POST \/api\/v1\/refunds +403 denied/],
  ['a doubled slash does not slip past', /POST \/\/api\/v1\/charges +403 denied/],
  [
    'no certificate is no connection, by the PeerAuthentication on its line',
    /^nobody \(plaintext\) +payments\/payments .* closed .*payments\/strict.*policies\.yaml:9/m,
  ],
  ['a bad token is 401', /GET \/invoices +401 unauthenticated/],
  ['a good one is not', /GET \/invoices +200 allowed/],
];

test.each(rows)('%s', (_title, row) => {
  expect(output).toMatch(row);
});

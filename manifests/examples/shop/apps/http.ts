// The little that the three programs of the shop share: a JSON server, and calls that keep trace and token.
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

type Handler = (request: IncomingMessage, url: URL) => Promise<Answer> | Answer;

/** Headers that an application must pass on, or the trace and the customer are lost on the way. */
const passedOn = [
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'x-request-id',
  'authorization',
];

/** Serves on $PORT, which `selvage up` gives, of this machine alone; in a cluster on the containerPort, for the pod. */
export function serve(name: string, routes: Readonly<Record<string, Handler>>): void {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const handler = routes[`${request.method} ${url.pathname}`];
    Promise.resolve(handler ? handler(request, url) : { status: 404, body: { error: 'not found' } })
      .catch((error: unknown) => ({ status: 502, body: { error: String(error) } }))
      .then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(`${JSON.stringify(body)}\n`);
      })
      .catch(() => response.destroy());
  });
  const { PORT: port } = process.env;
  server.listen(Number(port ?? 8080), port === undefined ? undefined : '127.0.0.1', () => {
    console.log(`${name} listens on ${port ?? 8080}`);
  });
  process.on('SIGTERM', () => server.close(() => process.exit(0)));
}

/** Calls another service through the mesh, as a JSON POST. */
export async function post(url: string, body: unknown, from: IncomingHttpHeaders): Promise<Answer> {
  const headers = new Headers({ 'content-type': 'application/json' });
  for (const name of passedOn) {
    const value = from[name];
    if (typeof value === 'string') headers.set(name, value);
  }
  const reply = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await reply.text();
  return { status: reply.status, body: parse(text) };
}

/** Reads a request's JSON body. */
export async function read(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return parse(text);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

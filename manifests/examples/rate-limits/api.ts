// Answers everything with 200, and what begins with /nginx/conn or /reports after a while.
import { createServer } from 'node:http';

const slowMs = 2000;
const server = createServer((request, response) => {
  const slow = /^\/(?:nginx\/conn|reports)\//.test(request.url ?? '');
  setTimeout(() => response.end(`${request.method} ${request.url}\n`), slow ? slowMs : 0);
});
const { PORT: port } = process.env;
server.listen(Number(port ?? 8080), port === undefined ? undefined : '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)));

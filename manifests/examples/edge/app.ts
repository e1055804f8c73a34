// Stands for both applications: answers with what it was asked, so that one sees what sidecars made of it.
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  request.resume();
  const { method, url, headers } = request;
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify({ method, url, headers })}\n`);
});
const { PORT: port } = process.env;
server.listen(Number(port ?? 8080), port === undefined ? undefined : '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)));

// Answers with what it was asked, as JSON, beside a few fields that no caller should see.
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  let body = '';
  request.on('data', (bytes) => (body += String(bytes)));
  request.on('end', () => {
    const { method, url, headers } = request;
    const asked = { method, url, headers, body };
    response.setHeader('content-type', 'application/json');
    response.setHeader('x-powered-by', 'api');
    response.end(
      JSON.stringify({
        asked,
        user: { name: 'ada', password: 'secret' },
        items: [
          { id: 1, cost: 2 },
          { id: 2, cost: 4 },
        ],
      }),
    );
  });
});
const { PORT: port } = process.env;
server.listen(Number(port ?? 8080), port === undefined ? undefined : '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)));

// Counts its answers, and says how long each may be kept.
import { createServer } from 'node:http';

let count = 0;
const server = createServer((request, response) => {
  count += 1;
  const said = request.url?.startsWith('/public') === true ? 'max-age=60' : null;
  if (said !== null) response.setHeader('cache-control', said);
  response.end(`answer ${count}\n`);
});
const { PORT: port } = process.env;
server.listen(Number(port ?? 8080), port === undefined ? undefined : '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)));

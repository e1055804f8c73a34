// An application that answers all but /hang, for tests that kill it.
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  if (request.url !== '/hang') response.end('ok');
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  process.send({ port: server.address().port });
});

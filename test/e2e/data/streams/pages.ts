// Says which pod it is, and sends three events that are some time apart.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const server = createServer((request, response) => {
  if (request.url !== '/events') {
    response.end(`${process.env['POD']} ${process.env['EDITION']}\n`);
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  void (async () => {
    for (const number of [1, 2, 3]) {
      response.write(`data: ${number}\n\n`);
      await sleep(250);
    }
    response.end();
  })();
});
server.listen(Number(process.env['PORT_WEB']), '127.0.0.1');

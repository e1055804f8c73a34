// Greets, and answers each line with itself in capitals: a protocol in which the server speaks first.
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const server = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.write('220 welcome\n');
  createInterface({ input: socket }).on('line', (line) => socket.write(`${line.toUpperCase()}\n`));
});
server.listen(Number(process.env['PORT']), '127.0.0.1');

// Nanoseconds per head: parse, look up, edit, write. `node test/bench/http1-heads.ts`
import { http1Limits } from '#sidecar/wire/http1/limits.ts';
import { RequestHead } from '#sidecar/wire/http1/request-head.ts';
import { ResponseHead } from '#sidecar/wire/http1/response-head.ts';

const requestText = Buffer.from(
  'GET /api/v1/charges?id=17 HTTP/1.1\r\nhost: billing.prod.svc.cluster.local:8080\r\n' +
    'user-agent: bench/1.0\r\naccept: application/json\r\naccept-encoding: gzip, br\r\n' +
    'x-request-id: 5c2c3d2a-7d0c-4c6e-9d0e-0d8f2f5c1a11\r\n' +
    'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n',
);
const responseText = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n' +
    'connection: keep-alive\r\nkeep-alive: timeout=5\r\ncontent-length: 1024\r\n\r\n',
);
const out = Buffer.alloc(4_096);
const request = new RequestHead(http1Limits);
const response = new ResponseHead(http1Limits);

function read(head: RequestHead | ResponseHead, text: Buffer): void {
  if (head.feed(text, 0, text.length) !== 'done') throw new Error('not a head');
}

function measure(name: string, run: () => unknown): void {
  const best: number[] = [];
  for (let round = 0; round < 12; round++) {
    const began = process.hrtime.bigint();
    for (let i = 0; i < 50_000; i++) run();
    best.push(Number(process.hrtime.bigint() - began) / 50_000);
  }
  console.log(`${name.padEnd(34)} ${Math.min(...best).toFixed(0)} ns`);
}

measure('request: parse, 7 lines, 310 bytes', () => {
  read(request, requestText);
  request.clear();
});
measure('request: parse, 2 appended, write', () => {
  read(request, requestText);
  request.append('x-forwarded-proto', 'https');
  request.append('x-forwarded-client-cert', 'By=spiffe://cluster.local/ns/prod/sa/billing');
  request.http1BytesMax();
  request.writeHttp1(out, 0);
  request.clear();
});
measure('response: parse, write', () => {
  read(response, responseText);
  response.http1BytesMax('');
  response.writeHttp1(out, 0, '');
});
read(request, requestText);
measure('lookup of an absent header', () => request.find('authorization', 0));
measure('values of a present header', () => request.values('x-request-id'));

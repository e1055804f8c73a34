// Writes invoices and has payments charge them.
import { post, read, serve } from './http.ts';

const payments = process.env['PAYMENTS_URL'] ?? 'http://payments.payments:8080';
let invoices = 0;

serve('billing', {
  'GET /invoices': () => ({ status: 200, body: { invoices } }),
  'POST /invoices': async (request) => {
    const cart = await read(request);
    const charge = await post(`${payments}/api/v1/charges`, cart, request.headers);
    if (charge.status !== 201) return { status: 502, body: { refused: charge.body } };
    invoices += 1;
    return { status: 201, body: { invoice: invoices, charge: charge.body } };
  },
});

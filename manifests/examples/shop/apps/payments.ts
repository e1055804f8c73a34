// Charges cards, in memory.
import { read, serve } from './http.ts';

let charges = 0;

serve('payments', {
  'GET /api/v1/charges': () => ({ status: 200, body: { charges } }),
  'POST /api/v1/charges': async (request) => {
    await read(request);
    charges += 1;
    return { status: 201, body: { charge: charges } };
  },
});

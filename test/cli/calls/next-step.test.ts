// What a person is told to do about a failure.
import { expect, test } from 'vitest';

import { nextStep } from '#cli/calls/next-step.ts';
import { failures } from '#sidecar/failures.ts';
import { answered, denial, failure } from '#test/cli/sidecars/call-records.ts';

test('there is a step for each failure of a sidecar, found by its sentence and by its details', () => {
  for (const { code, status, flag: flags, details } of Object.values(failures)) {
    const base = { status, flags, details, verdict: null, nearest: undefined } as const;
    const told = nextStep(denial({ ...base, why: `${code}: ${details}` }));
    const untold = nextStep(denial({ ...base, why: '' }));
    expect([code, told]).not.toEqual([code, '']);
    expect([code, untold]).not.toEqual([code, '']);
  }
});

test.each([
  [denial(), 'add what is missing to an ALLOW policy'],
  [denial({ policy: 'shop/no-web', why: 'denied by shop/no-web rule 0' }), 'narrow the rule'],
  [failure(), 'nothing accepts connections at that endpoint'],
  [failure({ service: '' }), 'no service of the mesh has this host'],
  [failure({ reporter: 'inbound' }), 'the application does not listen there'],
  [failure({ why: '', details: 'no_healthy_upstream', flags: 'UH' }), 'no pod behind the Service'],
  [
    denial({ method: '', details: 'connection_refused', flags: 'NR', why: 'plaintext to port 1' }),
    'give the caller a sidecar',
  ],
  [
    denial({ method: '', details: 'connection_refused', verdict: null, why: 'tls failed' }),
    'compare the certificates',
  ],
  [answered(), ''],
])('%#', (record, step) => {
  expect(nextStep(record)).toMatch(step === '' ? /^$/ : step);
});

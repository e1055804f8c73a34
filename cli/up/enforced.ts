// Asks control what became of an edit: whether every sidecar enforces it yet, and what is still wrong.
import { setTimeout as sleep } from 'node:timers/promises';

import type { Problem } from '#api/problem.ts';

import { get } from './readiness.ts';

/** What control's /sidecars says of each. */
interface SidecarState {
  readonly pod: string;
  readonly inSync: boolean;
  /** Why; '' when it does not. */
  readonly refused: string;
}

/** Control notices an edit after its own pause, and builds: it is given this long before anybody asks. */
const noticeMs = 400;
const waitMaxMs = 5000;

/** `enforced by 3 of 3 sidecars`, once they all do or the wait is over; refusals are named. */
export async function untilEnforced(controlAdmin: string): Promise<string> {
  const deadline = performance.now() + waitMaxMs;
  await sleep(noticeMs);
  for (;;) {
    const states = await sidecarStates(controlAdmin);
    if (states === null) return 'control does not answer; sidecars keep what they have';
    const current = states.filter((state) => state.inSync);
    const refused = states.filter((state) => state.refused !== '');
    if (current.length === states.length || performance.now() > deadline) {
      const refusals = refused.map((one) => `; ${one.pod} refuses it: ${one.refused}`);
      return `enforced by ${current.length} of ${states.length} sidecars${refusals.join('')}`;
    }
    await sleep(50);
  }
}

/**
 * Waits until control has the keys that policies name, or `waitMs` are over: issuers may start with the mesh.
 * @return what is wrong with the resources then
 */
export async function untilKeysAreThere(
  controlAdmin: string,
  waitMs: number,
  interrupted?: AbortSignal,
): Promise<readonly Problem[]> {
  const deadline = performance.now() + waitMs;
  let problems = await problemsOf(controlAdmin);
  while (performance.now() < deadline && problems.some((p) => p.code === 'jwks-unavailable')) {
    if (interrupted?.aborted === true) break;
    await sleep(100);
    problems = await problemsOf(controlAdmin);
  }
  await untilEnforced(controlAdmin);
  return problems;
}

async function problemsOf(controlAdmin: string): Promise<readonly Problem[]> {
  const { status, body } = await get(`${controlAdmin}/problems`);
  return status === 200 ? (JSON.parse(body) as readonly Problem[]) : [];
}

async function sidecarStates(controlAdmin: string): Promise<readonly SidecarState[] | null> {
  const { status, body } = await get(`${controlAdmin}/sidecars`);
  return status === 200 ? (JSON.parse(body) as readonly SidecarState[]) : null;
}

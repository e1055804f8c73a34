// Tests wait more than they compute, so more files run at a time than a small machine has cores; those in a cluster share it, and do not.
import { defineConfig } from 'vitest/config';

/** What is waited for comes, but a busy machine may take its time. */
const expect = { poll: { timeout: 15_000 } };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/process/**', 'test/e2e/**'],
          maxWorkers: 4,
          sequence: { groupOrder: 0 },
          // A property takes seconds on a busy machine.
          testTimeout: 60_000,
          expect,
        },
      },
      {
        test: {
          name: 'process',
          include: ['test/process/**/*.test.ts', 'test/e2e/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          expect,
          hookTimeout: 120_000,
        },
      },
      // Both need a cluster, and skip themselves without KUBECONFIG. The first wants one without Selvage in it.
      {
        test: {
          name: 'kubernetes',
          include: ['test/e2e/kubernetes/**/*.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          testTimeout: 120_000,
          expect,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'in-cluster',
          include: ['test/e2e/in-cluster/**/*.test.ts'],
          globalSetup: 'test/e2e/in-cluster/setup.ts',
          fileParallelism: false,
          sequence: { groupOrder: 3 },
          testTimeout: 180_000,
          expect,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});

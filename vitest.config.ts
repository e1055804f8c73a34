// Unit tests run in parallel; tests of processes and of the whole mesh run one file at a time.
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
          testTimeout: 20_000,
          expect,
        },
      },
      {
        test: {
          name: 'process',
          include: ['test/process/**/*.test.ts', 'test/e2e/*.test.ts'],
          fileParallelism: false,
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
          testTimeout: 180_000,
          expect,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    // Processes, not threads: tests kill, freeze and start real ones, and postgres.js keeps state per process.
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // For what is awaited, not measured: on a machine that is busy otherwise, a second is nothing.
    expect: { poll: { timeout: 20_000 } },
  },
});

import { defineCommand } from '../command.ts';
import { askToTheEnd, withMachine } from '../remote/errand.ts';
import { limitsOf } from '../remote/limits.ts';
import { moveTraffic, SHIFT_OPTIONS, SHIFT_USAGE } from '../remote/move-traffic.ts';
import { MEANS } from '../remote/reach.ts';

/** What was staged with `deploy --no-promote` takes over. */
export function createPromoteCommand(means = MEANS) {
  return defineCommand({
    usage: `Usage: frame promote <customer> [options]

Proves once more what waits in the idle slot, and lets it take over; it is watched, and goes back by itself if it is worse.
${SHIFT_USAGE}`,
    options: SHIFT_OPTIONS,
    words: { least: 1, most: 1 },
    run: (given, io) =>
      moveTraffic(given, io, means, errand =>
        withMachine(errand, ({ host }) =>
          askToTheEnd(errand, host, 'promote', { limits: limitsOf(errand.desk.config), force: given.values.force }),
        ),
      ),
  });
}

export const promoteCommand = createPromoteCommand();

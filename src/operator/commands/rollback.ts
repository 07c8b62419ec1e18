import { defineCommand } from '../command.ts';
import { askToTheEnd, withMachine } from '../remote/errand.ts';
import { limitsOf } from '../remote/limits.ts';
import { moveTraffic, SHIFT_OPTIONS, SHIFT_USAGE } from '../remote/move-traffic.ts';
import { MEANS } from '../remote/reach.ts';

/** Back to what served before: a flip while that is warm, else it is staged anew. */
export function createRollbackCommand(means = MEANS) {
  return defineCommand({
    usage: `Usage: frame rollback <customer> [--to RELEASE] [options]

The release that served before serves again, by the order of the machine's history: a second rollback goes forward again.
One that the database has left behind is refused.
  --to RELEASE        any release that is there; \`frame slot status\` names them
${SHIFT_USAGE}`,
    options: { ...SHIFT_OPTIONS, to: { type: 'string' } },
    words: { least: 1, most: 1 },
    run: (given, io) => {
      const { to, force } = given.values;
      return moveTraffic(given, io, means, errand =>
        withMachine(errand, ({ host }) =>
          askToTheEnd(errand, host, 'rollback', { to, force, limits: limitsOf(errand.desk.config) }),
        ),
      );
    },
  });
}

export const rollbackCommand = createRollbackCommand();

import type { DeployConfig } from '../../config/deploy-config.ts';
import type { Limits } from '../agent/protocol.ts';

/** What deploy.yaml says, as the agent wants to hear it. */
export function limitsOf(config: DeployConfig): Limits {
  const { gate, verify, watch, steps, minFreeMegabytes } = config;
  return {
    gate,
    verify,
    watch,
    stopSeconds: steps.stopSeconds,
    migrateSeconds: steps.migrateSeconds,
    minFreeMegabytes,
  };
}

/**
 * How long to wait for the agent's answer. It keeps the limit of each of its steps itself; this is for an agent that is
 * no more, behind a connection that says nothing. A slot may be stopped, migrated, gated twice, flipped and flipped back.
 */
export function patienceSeconds({ gate, verify, watch, stopSeconds, migrateSeconds }: Limits): number {
  return 2 * (gate.seconds + verify.seconds + stopSeconds) + migrateSeconds + watch.seconds + MARGIN_SECONDS;
}

// Private

const MARGIN_SECONDS = 120;

import type { Caller } from '../access/caller.ts';
import { ENVIRONMENTS, type Entity, type Environment } from '../customers/customer.ts';
import { FrameError } from '../errors.ts';
import type { JsonObject } from './door.ts';

/**
 * `entity` and `environment` as a caller sees them: present only where there is a choice, and then an enum of the
 * caller's own. A caller without a choice gets the same answer for any value: the argument does not exist.
 */
export interface ChosenPlace {
  entity: Entity;
  environment: Environment;
}

const DEFAULT_ENVIRONMENT: Environment = 'prod';

/** The JSON Schema properties to put before a tool's own, and which of them are required. */
export function placeProperties(caller: Caller): { properties: JsonObject; required: string[] } {
  const properties: JsonObject = {};
  const required = hasEntityChoice(caller) ? ['entity'] : [];
  if (hasEntityChoice(caller)) properties.entity = { type: 'string', enum: caller.entities.map(({ id }) => id) };
  if (hasEnvironmentChoice(caller)) {
    const all = ENVIRONMENTS.filter(name => caller.entities.some(({ environments }) => environments.includes(name)));
    const byDefault = all.includes(DEFAULT_ENVIRONMENT) && { default: DEFAULT_ENVIRONMENT };
    properties.environment = { type: 'string', enum: all, ...byDefault };
    if (!byDefault) required.push('environment');
  }
  return { properties, required };
}

/** The same where nobody in particular asks: whoever has no choice leaves them out. */
export const ANY_PLACE: ReturnType<typeof placeProperties> = {
  properties: {
    entity: { type: 'string', description: 'one of yours; only for callers with several' },
    environment: { type: 'string', enum: [...ENVIRONMENTS], description: 'only where there are several; default prod' },
  },
  required: [],
};

/** Takes the place out of the arguments. Throws `args/invalid` with the caller's own choices. */
export function takePlace(caller: Caller, args: Record<string, unknown>): [ChosenPlace, Record<string, unknown>] {
  const rest = { ...args };
  const entity = takeEntity(caller, rest);
  const environment = takeEnvironment(caller, entity, rest);
  return [{ entity, environment }, rest];
}

// Private

const hasEntityChoice = ({ entities }: Caller) => entities.length > 1;
const hasEnvironmentChoice = ({ entities }: Caller) => entities.some(({ environments }) => environments.length > 1);

function takeEntity(caller: Caller, args: Record<string, unknown>): Entity {
  const [first] = caller.entities;
  if (!first) throw new FrameError('access/not-admitted', 'You have no entity to work on.');
  if (!hasEntityChoice(caller)) return first;
  const { entity: wanted } = args;
  delete args.entity;
  const chosen = caller.entities.find(({ id }) => id === wanted);
  if (chosen) return chosen;
  throw new FrameError('args/invalid', wanted === undefined ? '`entity` is missing.' : 'There is no such `entity`.', {
    hint: `Choose one of: ${caller.entities.map(({ id }) => id).join(', ')}.`,
    nextTool: 'get_context',
  });
}

function takeEnvironment(caller: Caller, entity: Entity, args: Record<string, unknown>): Environment {
  const [only, ...others] = entity.environments;
  const byDefault = only && others.length === 0 ? only : entity.environments.find(name => name === DEFAULT_ENVIRONMENT);
  if (!hasEnvironmentChoice(caller) && byDefault) return byDefault;
  const { environment: wanted = byDefault } = args;
  delete args.environment;
  const chosen = entity.environments.find(name => name === wanted);
  if (chosen) return chosen;
  const message = wanted === undefined ? '`environment` is missing.' : `\`${entity.id}\` has no such \`environment\`.`;
  throw new FrameError('args/invalid', message, {
    hint: `Choose one of: ${entity.environments.join(', ')}.`,
    nextTool: 'get_context',
  });
}

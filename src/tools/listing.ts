import { z } from 'zod';
import type { Caller } from '../access/caller.ts';
import type { JsonObject, ToolListing } from './door.ts';
import { ANY_PLACE, placeProperties } from './place-arguments.ts';
import type { Tool } from './tool.ts';

/**
 * How a tool is shown in `tools/list`. Building a JSON Schema costs milliseconds, so the base of each tool is made once
 * and a caller's listing once per profile of rights (design: at most 20 tools and 4,000 tokens).
 */
export type BaseListing = Pick<ToolListing, 'inputSchema' | 'outputSchema'>;

export function prepareListing(tool: Tool): BaseListing {
  return {
    inputSchema: toPlainSchema(z.toJSONSchema(tool.input, { io: 'input', reused: 'inline', unrepresentable: 'any' })),
    outputSchema: optional(
      toPlainSchema(z.toJSONSchema(tool.output, { io: 'output', reused: 'inline', unrepresentable: 'any' })),
    ),
  };
}

/** Without a caller: as documents show it that are about no caller and all of them. */
export function listingFor(caller: Caller | undefined, tool: Tool, base: BaseListing): ToolListing {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: tool.atPlace
      ? withPlace(caller ? placeProperties(caller) : ANY_PLACE, base.inputSchema)
      : base.inputSchema,
    outputSchema: base.outputSchema,
    annotations: {
      title: tool.title,
      readOnlyHint: tool.kind === 'read',
      destructiveHint: tool.kind === 'destructive',
      idempotentHint: tool.idempotent,
      openWorldHint: false,
    },
  };
}

// Private

function withPlace({ properties, required }: ReturnType<typeof placeProperties>, schema: JsonObject): JsonObject {
  const own = { properties: {}, required: [], ...schema } as { properties: JsonObject; required: string[] };
  const all = [...required, ...own.required];
  return {
    ...schema,
    properties: { ...properties, ...own.properties },
    ...(all.length > 0 && { required: all }),
  };
}

/** Inside, a model needs no telling what keys an object has beside its own: calls are checked by the schema itself. */
function toPlainSchema(schema: object): JsonObject {
  const { $schema: _, additionalProperties, ...rest } = schema as JsonObject;
  const text = JSON.stringify(rest, (key, value) => (UNTOLD.has(key) ? undefined : value));
  return { ...JSON.parse(text), ...(additionalProperties !== undefined && { additionalProperties }) };
}

const UNTOLD = new Set(['additionalProperties', 'propertyNames']);

/** An error is an object of its own, and clients of the 2025 era hold it against the same schema: nothing is required. */
function optional({ required: _, additionalProperties: __, ...schema }: JsonObject): JsonObject {
  return schema;
}

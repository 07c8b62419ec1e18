import type { JsonObject, ToolListing } from '../tools/door.ts';
import { describeTool, type ToolDescription } from './endpoint.ts';

/**
 * OpenAPI 3.1 of `/api`, from the same listings that the tools are served by, so that it cannot say anything else. It
 * names every tool there is and no word of any company; which of them a caller has, `GET /api/tools` says.
 */
export function openApi(listings: readonly ToolListing[], { origin, release }: { origin: string; release: string }) {
  const tools = listings.map(describeTool);
  return {
    openapi: '3.1.0',
    info: { title: 'Frame', version: release, description: INTRODUCTION },
    servers: [{ url: origin }],
    security: [{ key: [] }, { token: [] }, { key: [], token: [] }],
    paths: {
      '/api/tools': {
        get: {
          operationId: 'listTools',
          summary: 'The tools that this caller may call',
          responses: { 200: json('The tools, with JSON Schemas of their params and results', TOOLS), ...FAILURES },
        },
      },
      '/api/tool': {
        post: {
          operationId: 'callTool',
          summary: 'Calls one tool',
          requestBody: { required: true, content: { 'application/json': { schema: oneOf(tools, toRequest) } } },
          responses: { 200: json('What the tool answered', oneOf(tools, toAnswer)), ...FAILURES },
        },
      },
    },
    components: {
      securitySchemes: {
        key: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        token: { type: 'http', scheme: 'bearer' },
      },
    },
  };
}

// Private

const INTRODUCTION =
  'The tools of Frame for scripts, with an API key, a person’s token, or both: then what both may. Which of the tools ' +
  'somebody has, and whether they name an `entity` and an `environment`, `GET /api/tools` says.';

const TOOLS = {
  type: 'object',
  required: ['success', 'role', 'tools'],
  properties: {
    success: { const: true },
    role: { type: 'string' },
    tools: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'title', 'description', 'kind', 'params', 'result'],
        properties: {
          name: { type: 'string' },
          title: { type: 'string' },
          description: { type: 'string' },
          kind: { enum: ['read', 'write', 'destructive'] },
          params: { type: 'object', description: 'JSON Schema' },
          result: { type: 'object', description: 'JSON Schema' },
        },
      },
    },
  },
};

const FAILURE = json('It was not done, or nobody knows (`outcome-unknown`); `code` is for programs', {
  type: 'object',
  required: ['success', 'error', 'code'],
  properties: {
    success: { const: false },
    error: { type: 'string' },
    code: { type: 'string' },
    hint: { type: 'string' },
  },
});

const FAILURES = { '4XX': FAILURE, default: FAILURE };

function json(description: string, schema: JsonObject) {
  return { description, content: { 'application/json': { schema } } };
}

function oneOf(tools: readonly ToolDescription[], write: (tool: ToolDescription) => JsonObject): JsonObject {
  return { oneOf: tools.map(write) };
}

function toRequest({ name, title, description, params }: ToolDescription): JsonObject {
  const needs = Array.isArray(params.required) && params.required.length > 0;
  return {
    title,
    description,
    type: 'object',
    required: needs ? ['tool', 'params'] : ['tool'],
    properties: { tool: { const: name }, params },
    additionalProperties: false,
  };
}

function toAnswer({ name, title, result }: ToolDescription): JsonObject {
  return {
    title,
    type: 'object',
    required: ['success', 'tool', 'result'],
    properties: { success: { const: true }, tool: { const: name }, result },
  };
}

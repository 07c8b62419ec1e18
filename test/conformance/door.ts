import { FrameError } from '../../src/errors.ts';
import type { Door, JsonObject, Outcome } from '../../src/tools/door.ts';
import schema from './schema-2020-12.json' with { type: 'json' };

/** The tools that the suite asks for and that Frame's kind of tool can be: structured results and errors, nothing else. */
export function createConformanceDoor(): Door {
  return {
    list: () => LISTINGS,
    all: LISTINGS,
    async call(_, name) {
      const tool = Object.hasOwn(TOOLS, name) ? TOOLS[name] : undefined;
      return tool?.outcome ?? { ok: false, error: new FrameError('args/unknown-tool', `Unknown tool: ${name}`) };
    },
    async turnedAway() {},
  };
}

const TOOLS: Record<string, { inputSchema?: JsonObject; outcome: Outcome }> = {
  test_simple_text: says('This is a simple text response for testing.'),
  test_error_handling: {
    outcome: {
      ok: false,
      error: new FrameError('row/check-failed', 'This tool intentionally returns an error for testing'),
    },
  },
  // What they want to provoke (log messages, progress, questions to the user) does not exist here; they still answer.
  test_logging_tool: says('Nothing was logged.'),
  test_tool_with_progress: says('Nothing to wait for.'),
  test_streaming_elicitation: says('Nothing to ask.'),
  json_schema_2020_12_tool: {
    ...says('ok'),
    inputSchema: schema,
  },
};

const LISTINGS = Object.entries(TOOLS).map(([name, { inputSchema }]) => ({
  name,
  title: name,
  description: `Conformance: ${name}.`,
  inputSchema: inputSchema ?? { type: 'object' },
  outputSchema: { type: 'object' },
  annotations: {
    title: name,
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
}));

function says(text: string): { outcome: Outcome } {
  return { outcome: { ok: true, result: { text } } };
}

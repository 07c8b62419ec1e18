import { CHATGPT } from './chatgpt.ts';
import { CLAUDE_AI } from './claude-ai.ts';
import { CLAUDE_CODE } from './claude-code.ts';
import { CODEX } from './codex.ts';
import { CURSOR } from './cursor.ts';
import { INSPECTOR } from './inspector.ts';
import type { Product } from './product.ts';
import { VS_CODE } from './vs-code.ts';

/** Who must be able to connect. */
export const PRODUCTS: readonly Product[] = [CLAUDE_AI, CLAUDE_CODE, CURSOR, VS_CODE, CHATGPT, CODEX, INSPECTOR];

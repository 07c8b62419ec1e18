import { createHash } from 'node:crypto';
import { canonicalJson } from '../audit/canonical-json.ts';
import type { Place } from '../database/place.ts';
import { FrameError } from '../errors.ts';
import type { Keyring } from '../vault/keyring.ts';
import type { Position } from './order.ts';

/** What a cursor is bound to: it opens for the same caller, at the same place, for the same arguments, and no other. */
export interface CursorBinding {
  /** Tenant id and object id. */
  callerKey: string;
  place: Place;
  tool: string;
  /** Those that decide which rows come in which order: all but `limit` and `cursor`. */
  arguments: Record<string, unknown>;
}

/** `expiresAt` is in milliseconds since 1970. */
export function sealCursor(keyring: Keyring, binding: CursorBinding, position: Position, expiresAt: number): string {
  return keyring.seal('cursor', bindingText(binding), { position, expiresAt });
}

/** Throws `args/invalid` for anything but an unaltered cursor of this binding that has not expired. */
export function openCursor(keyring: Keyring, binding: CursorBinding, cursor: string, now: number): Position {
  const opened = keyring.open('cursor', bindingText(binding), cursor);
  if (isContent(opened) && opened.expiresAt > now) return opened.position;
  throw staleCursor();
}

export function staleCursor(): FrameError {
  return new FrameError('args/invalid', '`cursor`: it has expired, or belongs to another call.', {
    hint: 'Start again without `cursor`; go on with `next_cursor` and the same other arguments.',
  });
}

/** Equal arguments give equal digests, whatever the order of their keys. */
export function digestArguments(args: Record<string, unknown>): string {
  return createHash('sha256').update(canonicalJson(args)).digest('base64url');
}

// Private

function bindingText({ callerKey, place, tool, arguments: args }: CursorBinding): string {
  return JSON.stringify([callerKey, place.customer, place.entity, place.environment, tool, digestArguments(args)]);
}

function isContent(opened: unknown): opened is { position: Position; expiresAt: number } {
  return typeof opened === 'object' && opened !== null && 'position' in opened && 'expiresAt' in opened;
}

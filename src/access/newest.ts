/** Sets what is the newest from now on; when that makes more than `most`, the oldest goes. */
export function setNewest<Value>(map: Map<string, Value>, key: string, value: Value, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  for (const oldest of map.keys().take(1)) map.delete(oldest);
}

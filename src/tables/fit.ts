/** How many of the first rows fit into `maxBytes` of JSON together. */
export function countFitting(rows: readonly unknown[], maxBytes: number): number {
  let bytes = 0;
  const full = rows.findIndex(row => {
    bytes += Buffer.byteLength(JSON.stringify(row)) + 1;
    return bytes > maxBytes;
  });
  return full < 0 ? rows.length : full;
}

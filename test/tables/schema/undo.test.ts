import { expect, test } from 'vitest';
import { oppositeKey, shorten } from '../../../src/tables/schema/undo.ts';

const steps = (keys: string) => keys.split(' ').map(key => ({ key, rename_table: { from: 'a', to: 'b' } }));
const shortened = (keys: string) =>
  shorten(steps(keys))
    .map(({ key }) => key)
    .join(' ');

test.each([
  ['3.1 2.1', '3.1 2.1'],
  ['-3.1 3.1', ''],
  ['3.1 -3.1 2.1', '2.1'],
  ['-2.1 -3.1 -4.1 4.1 3.1', '-2.1'],
  ['-2.1 2.1 -2.1 2.1 1.1', '1.1'],
  ['3.1 2.1 -3.1', '3.1 2.1 -3.1'],
])('the way %j is as good as %j', (way, short) => {
  expect(shortened(way)).toBe(short);
});

test('restoring the next version each time stays as short as it is', () => {
  const undone = ['5.1', '4.1', '3.1', '2.1'];
  let log: string[] = undone.toReversed().map(oppositeKey);
  for (const [i, key] of undone.toReversed().entries()) {
    const way = shorten(steps([...log, ...undone.slice(0, undone.length - 1 - i)].join(' ')));
    expect(way.map(step => step.key)).toEqual([oppositeKey(key)]);
    log = [key, ...log];
  }
});

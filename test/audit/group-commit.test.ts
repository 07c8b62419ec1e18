import { describe, expect, test } from 'vitest';
import { createGroupCommit } from '../../src/audit/group-commit.ts';

/** A store whose writes end only when the test says so. */
function createStore(limits = { flushRecords: 3, queue: 5 }) {
  const writes: { items: string[]; succeed(): void; fail(reason: Error): void }[] = [];
  const commits = createGroupCommit<string>({
    ...limits,
    write: items => new Promise((succeed, fail) => writes.push({ items, succeed, fail })),
  });
  const nthWrite = async (n: number) => {
    while (!writes[n]) await Promise.resolve();
    return writes[n];
  };
  return { commits, writes, nthWrite };
}

const settled = (promises: Promise<void>[]) =>
  Promise.allSettled(promises).then(all => all.map(({ status }) => status));

describe('natural group commit', () => {
  test('a lone item goes out at once; what comes meanwhile goes together, in order, in groups of the limit', async () => {
    const { commits, writes, nthWrite } = createStore();
    const done = ['a', 'b', 'c', 'd', 'e'].map(item => commits.add(item));
    expect(writes.map(({ items }) => items)).toEqual([['a']]);
    (await nthWrite(0)).succeed();
    (await nthWrite(1)).succeed();
    (await nthWrite(2)).succeed();
    expect(await settled(done)).toEqual(Array(5).fill('fulfilled'));
    expect(writes.map(({ items }) => items)).toEqual([['a'], ['b', 'c', 'd'], ['e']]);
  });

  test('an item is done only when its own write is', async () => {
    const { commits, nthWrite } = createStore();
    const first = commits.add('a');
    let secondDone = false;
    const second = commits.add('b').then(() => {
      secondDone = true;
    });
    (await nthWrite(0)).succeed();
    await first;
    const write = await nthWrite(1);
    expect(secondDone).toBe(false);
    write.succeed();
    await second;
  });

  test('an item too many is refused at once and alone', async () => {
    const { commits, nthWrite } = createStore({ flushRecords: 10, queue: 2 });
    const accepted = ['a', 'b', 'c'].map(item => commits.add(item));
    await expect(commits.add('d')).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    (await nthWrite(0)).succeed();
    (await nthWrite(1)).succeed();
    expect(await settled(accepted)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  });
});

describe('a failed write', () => {
  test('refuses its items and those that wait, and is over', async () => {
    const { commits, writes, nthWrite } = createStore();
    const done = ['a', 'b', 'c', 'd', 'e'].map(item => commits.add(item));
    (await nthWrite(0)).succeed();
    (await nthWrite(1)).fail(new Error('disk full'));
    expect(await settled(done)).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected', 'rejected']);

    const later = commits.add('f');
    (await nthWrite(2)).succeed();
    await later;
    expect(writes[2]?.items).toEqual(['f']);
  });
});

describe('closing', () => {
  test('writes what waits and refuses what comes later', async () => {
    const { commits, nthWrite } = createStore();
    const done = ['a', 'b'].map(item => commits.add(item));
    const closing = commits.close();
    await expect(commits.add('c')).rejects.toMatchObject({ code: 'unavailable' });
    (await nthWrite(0)).succeed();
    (await nthWrite(1)).succeed();
    await closing;
    expect(await settled(done)).toEqual(['fulfilled', 'fulfilled']);
  });

  test('ends although the last write fails, and at once when nothing waits', async () => {
    const { commits, nthWrite } = createStore();
    const done = commits.add('a');
    const closing = commits.close();
    (await nthWrite(0)).fail(new Error('gone'));
    await expect(done).rejects.toThrow('gone');
    await closing;
    await createStore().commits.close();
  });
});

import { describe, expect, test } from 'vitest';
import { digestOfApiKey, findApiKeys, makeApiKeyText, readApiKeyText } from '../../src/access/api-key-text.ts';

const { text, id } = makeApiKeyText('dev');

describe('a key', () => {
  test('has the form that scanners look for', () => {
    expect(text).toMatch(/^frame_dev_[0-9A-Za-z]{48}$/);
    expect(text).toContain(`frame_dev_${id}`);
    expect(makeApiKeyText('read-only').text).toMatch(/^frame_read-only_[0-9A-Za-z]{48}$/);
  });

  test('is another one each time, in all letters', () => {
    const texts = Array.from({ length: 200 }, () => makeApiKeyText('view').text);
    expect(new Set(texts).size).toBe(200);
    expect(new Set(texts.map(one => one.slice(11)).join('')).size).toBe(62);
  });

  test('is read back with its id and role', () => {
    expect(readApiKeyText(text)).toEqual({ id, role: 'dev', text });
  });

  test('is known by a digest that does not say what it is', () => {
    const digest = digestOfApiKey({ id, role: 'dev', text });
    expect(digest).toMatch(/^\\x[0-9a-f]{64}$/);
    expect(digest).not.toContain(text.slice(-20));
  });
});

describe('what is no key', () => {
  test('one letter wrong, wherever it is', () => {
    for (let at = 0; at < text.length; at += 1) {
      const wrong = `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`;
      expect(readApiKeyText(wrong), wrong).toBeUndefined();
    }
  });

  test.each([
    '',
    'frame_',
    text.slice(0, -1),
    `${text}a`,
    ` ${text}`,
    `${text}\n`,
    text.toUpperCase(),
    text.replace('frame_dev_', 'frame_admin_'),
    text.replace('frame_dev_', 'frame__'),
    text.replace('_', '-'),
    text.replace(/.{6}$/, '000000'),
    `frame_at_${'a'.repeat(43)}`,
  ])('%j', wrong => {
    expect(readApiKeyText(wrong)).toBeUndefined();
  });
});

test('keys are found in a text, and only whole ones', () => {
  const other = makeApiKeyText('admin').text;
  expect(findApiKeys(`/a/${text}?key=${other}&x=${text}zz ${text.slice(0, -2)}`).map(found => found.text)).toEqual([
    text,
    other,
  ]);
});

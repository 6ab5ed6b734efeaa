import { expect, test } from 'vitest';
import { browser } from './browser';

test('browsers are told by what is theirs alone', () => {
  const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
  expect(browser(chrome)).toBe('Chrome · Linux');
  expect(browser(`${chrome} Edg/140.0.0.0`)).toBe('Edge · Linux');
  expect(browser('Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1')).toBe('Safari · iOS');
  expect(browser('curl/8.5.0')).toBe('curl');
  expect(browser('')).toBeUndefined();
});

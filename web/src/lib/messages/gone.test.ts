import { expect, test } from 'vitest';
import { Gone } from './gone';

test('what was deleted is known, as far back as there is room', () => {
  const gone = new Gone(2);
  for (const id of ['a', 'b', 'b', 'c']) gone.add(id);
  expect(['a', 'b', 'c', 'd'].filter((id) => gone.has(id))).toEqual(['b', 'c']);
});

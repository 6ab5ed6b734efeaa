/** Filters of access rules, as the server takes them. */

export type FilterProblem = 'empty' | 'nul' | 'alone' | 'last' | 'shared' | 'percent' | 'second' | 'system' | 'long';

const MAX_BYTES = 65_535;

/** What is wrong with the filter of a rule; `undefined` if nothing is that one sees here. */
export function filterProblem(filter: string): FilterProblem | undefined {
  if (filter === '') return 'empty';
  if (new TextEncoder().encode(filter).length > MAX_BYTES) return 'long';
  if (filter.includes('\0')) return 'nul';
  const levels = filter.split('/');
  if (levels[0] === '$share') return 'shared';
  for (const [index, level] of levels.entries()) {
    if (level.length > 1 && /[+#]/.test(level)) return 'alone';
    if (level === '#' && index < levels.length - 1) return 'last';
    const problem = placeholderProblem(level, index === 0 && level.startsWith('$'));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function placeholderProblem(level: string, isSystem: boolean): FilterProblem | undefined {
  const marks = level.match(/%[^]?/gu) ?? [];
  if (marks.some((mark) => !['%u', '%c', '%%'].includes(mark))) return 'percent';
  const open = marks.filter((mark) => mark !== '%%').length;
  if (open > 1) return 'second';
  return open > 0 && isSystem ? 'system' : undefined;
}

export interface FilterPart {
  text: string;
  /** Whether it stands for something else: `%u`, `%c`, `+`, `#`. */
  isOpen: boolean;
}

/** A filter in parts: what is as it is, and what stands for something else. */
export function filterParts(filter: string): FilterPart[] {
  return filter
    .split(/(%%|%[uc]|[+#])/)
    .filter((text) => text !== '')
    .map((text) => ({ text, isOpen: /^(%[uc]|[+#])$/.test(text) }));
}

/** Filters of access rules, and topics, as the server takes them. */
import type { Schemas } from '../../lib/api/client';

export type FilterProblem = FilterShape | 'shared' | 'percent' | 'second' | 'system';
/** `wild`: wildcards where none are allowed. */
export type TopicProblem = FilterShape | 'wild';

type FilterShape = 'empty' | 'nul' | 'alone' | 'last' | 'long';

const MAX_BYTES = 65_535;

/** Why the filter of a rule is invalid; `undefined` if the app finds no error. */
export function filterProblem(filter: string): FilterProblem | undefined {
  const levels = filter.split('/');
  const problem = shapeProblem(filter);
  if (problem !== undefined) return problem;
  if (levels[0] === '$share') return groupProblem(levels);
  for (const [index, level] of levels.entries()) {
    const problem = placeholderProblem(level, index === 0 && level.startsWith('$'));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Checks a `$share/group/filter`: it needs the name of a group, without placeholders. */
function groupProblem([, name = '', ...rest]: string[]): FilterProblem | undefined {
  const inner = rest.join('/');
  const isWhole = name !== '' && !/[+#]/.test(name) && inner !== '' && rest[0] !== '$share';
  const marks = [name, ...rest].map((level) => placeholderProblem(level, true));
  if (marks.includes('percent')) return 'percent';
  return isWhole && marks.every((mark) => mark === undefined) ? undefined : 'shared';
}

/** Why a topic to publish or subscribe to is invalid; `undefined` if the app finds no error. */
export function topicProblem(topic: string, action: Schemas['Action']): TopicProblem | undefined {
  return action === 'publish' && /[+#]/.test(topic) ? 'wild' : shapeProblem(topic);
}

function shapeProblem(filter: string): FilterShape | undefined {
  if (filter === '') return 'empty';
  if (new TextEncoder().encode(filter).length > MAX_BYTES) return 'long';
  if (filter.includes('\0')) return 'nul';
  const levels = filter.split('/');
  if (levels.some((level) => level.length > 1 && /[+#]/.test(level))) return 'alone';
  return levels.slice(0, -1).includes('#') ? 'last' : undefined;
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

/** Splits a filter into literal text and placeholders or wildcards. */
export function filterParts(filter: string): FilterPart[] {
  return filter
    .split(/(%%|%[uc]|[+#])/)
    .filter((text) => text !== '')
    .map((text) => ({ text, isOpen: /^(%[uc]|[+#])$/.test(text) }));
}

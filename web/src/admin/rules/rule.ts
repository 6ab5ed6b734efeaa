/** Access rules in words. */
import type { Schemas } from '../../lib/api/client';
import { text } from '../../text/admin';

export type Rule = Schemas['Rule'];
export type NewRule = Schemas['NewRule'];

/** Whom a rule is about. */
export type SubjectKind = 'everyone' | 'user' | 'admin' | 'name';

export interface Subject {
  kind: SubjectKind;
  /** For `name`; else empty. */
  name: string;
}

/** Reads `everyone`, `role:user`, `role:admin` and `user:NAME`. */
export function parseSubject(subject: string): Subject {
  if (subject === 'role:user') return { kind: 'user', name: '' };
  if (subject === 'role:admin') return { kind: 'admin', name: '' };
  if (subject.startsWith('user:')) return { kind: 'name', name: subject.slice('user:'.length) };
  return { kind: 'everyone', name: '' };
}

/** The inverse of `parseSubject`. */
export function formatSubject({ kind, name }: Subject): string {
  if (kind === 'everyone') return kind;
  return kind === 'name' ? `user:${name}` : `role:${kind}`;
}

export function subjectWords(subject: string): string {
  const { kind, name } = parseSubject(subject);
  return kind === 'name' ? name : text.rules.subjects[kind];
}

/** `may subscribe to`. */
export function actionWords(rule: Pick<Rule, 'effect' | 'action'>): string {
  return text.rules.sentence[rule.effect][rule.action];
}

/** `Everyone may subscribe to users/%u/#`. */
export function ruleWords(rule: Pick<Rule, 'subject' | 'effect' | 'action' | 'filter'>): string {
  return `${subjectWords(rule.subject)} ${actionWords(rule)} ${rule.filter}`;
}

/** Whether it came with the server. */
export function isBuiltin(rule: Pick<Rule, 'id'>): boolean {
  return rule.id.startsWith('builtin-');
}

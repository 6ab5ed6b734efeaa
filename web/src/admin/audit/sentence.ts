/** Entries of the audit in words. */
import type { Schemas } from '../../lib/api/client';
import { text } from '../../text/admin';
import { ruleWords, type Rule } from '../rules/rule';

export type AuditAction = Schemas['AuditAction'];
export type AuditEntry = Schemas['AuditEntry'];

/** A piece of a sentence. */
export interface Piece {
  kind: 'words' | 'actor' | 'target';
  text: string;
  /** If it is the name of a user. */
  user?: string;
}

/** Actions whose target is a user. */
const ON_USERS = new Set<AuditAction>([
  'sign_in.failed',
  'user.registered',
  'user.created',
  'user.changed',
  'user.deleted',
  'user_delay.changed',
  'user_delay.removed',
  'connection.ended',
]);

/** Actions whose detail is said in words that the server chose. */
const WORDED = new Set<AuditAction>(['sign_in', 'sign_in.failed', 'access.denied', 'user.created', 'user.changed']);

/** The sentence about an entry, in pieces. */
export function sentence(entry: AuditEntry): Piece[] {
  const words = text.audit.actions[entry.action];
  const template = entry.target == null ? (words.untargeted ?? words.sentence) : words.sentence;
  return template
    .split(/(\{\w+\})/)
    .filter((part) => part !== '')
    .map((part): Piece => {
      if (part === '{actor}') return actor(entry);
      if (part === '{target}') return target(entry);
      return { kind: 'words', text: part };
    });
}

function actor({ actor, address }: AuditEntry): Piece {
  if (actor != null) return { kind: 'actor', text: actor, user: actor };
  return { kind: 'actor', text: address == null ? text.audit.commandLine : text.audit.somebody };
}

function target({ action, target }: AuditEntry): Piece {
  const piece: Piece = { kind: 'target', text: target ?? '' };
  return target != null && ON_USERS.has(action) ? { ...piece, user: target } : piece;
}

/** Actions whose detail is a rule: `allow role:user both rooms/#`. */
const ON_RULES = new Set<AuditAction>(['rule.created', 'rule.replaced', 'rule.deleted']);
const RULE = /^(allow|deny) (\S+) (publish|subscribe|both) (.+)$/s;

/** The details of an entry, in words; `undefined` if there are none. */
export function detail({ action, detail }: AuditEntry): string | undefined {
  if (detail == null || detail === '') return undefined;
  if (ON_RULES.has(action)) return rule(detail);
  if (!WORDED.has(action)) return detail;
  return detail
    .split(', ')
    .map((part) => text.audit.details[part] ?? part)
    .join(', ');
}

function rule(detail: string): string {
  const [, effect, subject, on, filter] = RULE.exec(detail) ?? [];
  if (subject === undefined || filter === undefined) return detail;
  return ruleWords({ effect: effect as Rule['effect'], subject, action: on as Rule['action'], filter });
}

/** How often, if more than once. */
export function times({ action, count }: AuditEntry): string | undefined {
  // The number of lost entries is shown even if it is 1.
  if (action === 'audit.dropped') return text.audit.lost(count);
  return count > 1 ? text.audit.times(count) : undefined;
}

export function isAction(word: string | null): word is AuditAction {
  return word !== null && Object.hasOwn(text.audit.actions, word);
}

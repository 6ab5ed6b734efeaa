/** Finding users by how their names begin. */
import { api, call, type Schemas } from '../lib/api/client';
import { Problem } from '../lib/api/problem';

type User = Schemas['User'];

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** Typed text in the form of user names. */
export function asName(typed: string): string {
  return typed.trim().toLowerCase();
}

/** The first users whose names begin with `start`; an exact match comes first. */
export async function findUsers(start: string, limit: number, signal: AbortSignal): Promise<string[]> {
  if (start !== '' && !NAME.test(start)) return [];
  const after = start === '' ? {} : { after: start };
  const [exact, behind] = await Promise.all([
    start === '' ? undefined : user(start, signal),
    call(api.GET('/admin/users', { params: { query: { ...after, limit } }, signal })),
  ]);
  // They come by name: those that begin so follow it at once.
  const others = behind.items.map(({ username }) => username).filter((name) => name.startsWith(start));
  return exact === undefined ? others : [exact.username, ...others].slice(0, limit);
}

async function user(name: string, signal: AbortSignal): Promise<User | undefined> {
  try {
    return await call(api.GET('/admin/users/{name}', { params: { path: { name } }, signal }));
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return undefined;
    throw error;
  }
}

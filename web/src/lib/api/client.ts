/**
 * The API, typed by its OpenAPI document.
 *
 * `call` returns the data of a response or throws a `Problem`; every page goes through it.
 */
import createClient from 'openapi-fetch';
import type { components, paths } from './schema';
import { isProblemBody, Problem, Unreachable } from './problem';

export type Schemas = components['schemas'];

/** How long a response may take, in milliseconds. */
const PATIENCE = 20_000;

/** The path that says whose session the cookie is. */
const SESSION = '/auth/session';

let csrfToken: string | null = null;
let onSignedOut: () => void = () => undefined;
let onStale: () => Promise<boolean> = () => Promise.resolve(false);
let onForbidden: () => void = () => undefined;
let onDate: (server: number, asked: number, answered: number) => void = () => undefined;

/**
 * The token that each request carries, so that the server accepts it only for the session that it is meant for; `null` before
 * anybody is signed in. It stays when the session ends, so that late requests are not made for the next user.
 */
export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

/** Calls `callback` when a response says that nobody is signed in any more. */
export function whenSignedOut(callback: () => void): void {
  onSignedOut = callback;
}

/** Calls `callback` when the cookie belongs to another session than the page. It returns whether to repeat the request. */
export function whenStale(callback: () => Promise<boolean>): void {
  onStale = callback;
}

/** Calls `callback` when a response says that only administrators may do this. */
export function whenForbidden(callback: () => void): void {
  onForbidden = callback;
}

/** Calls `callback` with the server's time in each response, in milliseconds, to the second. */
export function whenDated(callback: typeof onDate): void {
  onDate = callback;
}

/** Sends a request with the token of the page's session. */
async function request(request: Request): Promise<Response> {
  const again = request.clone();
  const response = await send(request);
  if (response.status !== 403 || (await codeOf(response)) !== 'csrf' || !(await onStale())) return response;
  return send(again);
}

async function codeOf(response: Response): Promise<string | undefined> {
  const body: unknown = await response.clone().json().catch(() => undefined);
  return isProblemBody(body) ? body.code : undefined;
}

async function send(bare: Request): Promise<Response> {
  const request = new Request(bare, {
    credentials: 'same-origin',
    cache: 'no-store',
    signal: AbortSignal.any([bare.signal, AbortSignal.timeout(PATIENCE)]),
  });
  // This request finds out whose session it is: it has to succeed whatever session the page has.
  if (csrfToken !== null && !request.url.endsWith(SESSION)) request.headers.set('X-CSRF-Token', csrfToken);
  const asked = Date.now();
  let response: Response;
  try {
    response = await fetch(request);
  } catch (error) {
    throw new Unreachable(error);
  }
  const date = Date.parse(response.headers.get('date') ?? '');
  if (!Number.isNaN(date)) onDate(date, asked, Date.now());
  return response;
}

export const api = createClient<paths>({ baseUrl: `${location.origin}/api/v1`, fetch: request });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/**
 * Returns the data of a response.
 *
 * @throws {Problem} the server's refusal, with its code.
 * @throws {Unreachable} if there was no response.
 */
export async function call<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  const problem = new Problem(
    response.status,
    isProblemBody(error) ? error : undefined,
    response.headers.get('retry-after'),
  );
  if (problem.code === 'unauthenticated') onSignedOut();
  if (problem.code === 'forbidden') onForbidden();
  throw problem;
}

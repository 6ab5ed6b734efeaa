/**
 * The API, typed by its OpenAPI document.
 *
 * `call` turns an answer into its data or throws a `Problem`; every page goes through it.
 */
import createClient from 'openapi-fetch';
import type { components, paths } from './schema';
import { isProblemBody, Problem, Unreachable } from './problem';

export type Schemas = components['schemas'];

/** How long an answer may take, in milliseconds. */
const PATIENCE = 20_000;

/** Where one asks whose session the cookie is. */
const SESSION = '/auth/session';

let csrfToken: string | null = null;
let onSignedOut: () => void = () => undefined;
let onStale: () => Promise<boolean> = () => Promise.resolve(false);
let onForbidden: () => void = () => undefined;
let onDate: (server: number, asked: number, answered: number) => void = () => undefined;

/**
 * The token that each request carries, so that it is answered only by the session that it is meant for; `null` before
 * anybody is signed in. It stays when the session ends: what is still asked for its user is not for the next one.
 */
export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

/** Called when an answer says that nobody is signed in any more. */
export function whenSignedOut(callback: () => void): void {
  onSignedOut = callback;
}

/** Called when the cookie is of another session than the page; answers whether it is worth trying again. */
export function whenStale(callback: () => Promise<boolean>): void {
  onStale = callback;
}

/** Called when an answer says that only administrators may do this. */
export function whenForbidden(callback: () => void): void {
  onForbidden = callback;
}

/** Told of the server's clock by each answer: milliseconds, to the second. */
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
  // Who is signed in is asked by whoever does not know.
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
 * The data of an answer.
 *
 * @throws {Problem} what the server refused, with its code.
 * @throws {Unreachable} if there was no answer.
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

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

let csrfToken: string | null = null;
let onSignedOut: () => void = () => undefined;
let onForbidden: () => void = () => undefined;
let onDate: (server: number, asked: number, answered: number) => void = () => undefined;

/** The token that unsafe methods carry; `null` when nobody is signed in. */
export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

/** Called when an answer says that nobody is signed in any more. */
export function whenSignedOut(callback: () => void): void {
  onSignedOut = callback;
}

/** Called when an answer says that only administrators may do this. */
export function whenForbidden(callback: () => void): void {
  onForbidden = callback;
}

/** Told of the server's clock by each answer: milliseconds, to the second. */
export function whenDated(callback: typeof onDate): void {
  onDate = callback;
}

async function request(request: Request): Promise<Response> {
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

api.use({
  onRequest({ request }) {
    if (request.method !== 'GET' && csrfToken !== null) {
      request.headers.set('X-CSRF-Token', csrfToken);
    }
    return new Request(request, {
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE)]),
    });
  },
});

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

/** The errors of a request. */
import type { components } from './schema';

type Body = components['schemas']['Problem'];
export type ProblemCode = Body['code'];

/** The server's refusal (RFC 9457). `message` is for people. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  /** `undefined` if the response is from something between here and the server, such as a proxy. */
  readonly code: ProblemCode | undefined;
  /** When it may be tried again, in milliseconds from now. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, body: Body | undefined, retryAfter: string | null) {
    super(body?.detail ?? `HTTP ${status}`);
    this.status = status;
    this.code = body?.code;
    const seconds = Number.parseInt(retryAfter ?? '', 10);
    this.retryAfterMs = Number.isNaN(seconds) ? undefined : seconds * 1000;
  }

  /** Whether the same request may succeed later. */
  get passing(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

/** There was no response: the network or the server is down. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';

  constructor(cause: unknown) {
    super('unreachable', { cause });
  }
}

export function isProblemBody(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && 'code' in value && 'detail' in value;
}

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Connection, type LinkEvents, type Side, type ConnectionHost } from './connection';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A server that a test plays. */
class World {
  online = true;
  firstCursor = vi.fn(() => Promise.resolve({ epoch: 'e', seq: 40 }));
  /** The error with which `open` fails; without one it succeeds. */
  refuses: Error | undefined;
  /** Behind which number each connection began. */
  opened: number[] = [];
  epochs: string[] = [];
  events: LinkEvents<string>[] = [];
  sides: Side[] = [];
  /** How long the links last that `open` makes. */
  lasts: number | undefined;
  closed = 0;
  checks = 0;
  received: [string, number][] = [];
  states: string[] = [];
  connection: Connection<string>;

  constructor() {
    const host: ConnectionHost<string> = {
      firstCursor: this.firstCursor,
      open: (after, events, side) => {
        if (this.refuses !== undefined) return Promise.reject(this.refuses);
        this.opened.push(after.seq);
        this.epochs.push(after.epoch);
        this.events.push(events);
        this.sides.push(side);
        return Promise.resolve({
          until: this.lasts === undefined ? undefined : Date.now() + this.lasts,
          close: () => {
            this.closed += 1;
          },
          check: () => {
            this.checks += 1;
          },
        });
      },
      online: () => this.online,
      hopeless: (error) => error instanceof Error && error.message === 'signed out',
      pauseAfter: (why) => (why instanceof Error && why.message === 'slower' ? 50_000 : 0),
      random: () => 1,
    };
    this.connection = new Connection(
      host,
      () => this.states.push(this.connection.state),
      (item, seq) => this.received.push([item, seq]),
    );
  }

  get last(): LinkEvents<string> {
    const events = this.events.at(-1);
    if (events === undefined) throw new Error('nothing was opened');
    return events;
  }

  async start(): Promise<void> {
    this.connection.start();
    await this.settled();
    this.last.live();
  }

  async settled(): Promise<void> {
    await vi.advanceTimersByTimeAsync(0);
  }
}

test('begins where the clients of the user had come to, and asks for that once', async () => {
  const world = new World();
  await world.start();
  expect(world.opened).toEqual([40]);
  expect(world.states).toEqual(['connecting', 'live']);
  world.last.closed();
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.firstCursor).toHaveBeenCalledOnce();
});

test('goes on behind the last number seen, and hears nothing twice', async () => {
  const world = new World();
  await world.start();
  world.last.received({ epoch: 'e', seq: 41 }, 'a');
  world.last.received({ epoch: 'e', seq: 42 }, 'b');
  world.last.received({ epoch: 'e', seq: 42 }, 'b');
  world.last.closed();
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.opened).toEqual([40, 42]);
  world.last.live();
  world.last.received({ epoch: 'e', seq: 42 }, 'b');
  world.last.received({ epoch: 'e', seq: 43 }, 'c');
  expect(world.received).toEqual([
    ['a', 41],
    ['b', 42],
    ['c', 43],
  ]);
});

test('what was seen of another epoch is forgotten, and nothing is dropped as seen', async () => {
  const world = new World();
  await world.start();
  world.last.received({ epoch: 'e', seq: 41 }, 'a');
  world.last.received({ epoch: 'e', seq: 42 }, 'b');
  world.last.closed();
  await vi.advanceTimersByTimeAsync(1000);
  // The server was restored meanwhile.
  world.last.live();
  world.last.received({ epoch: 'f', seq: 41 }, 'new a');
  world.last.received({ epoch: 'f', seq: 41 }, 'new a');
  world.last.received({ epoch: 'f', seq: 42 }, 'new b');
  world.last.closed();
  await vi.advanceTimersByTimeAsync(5000);
  expect(world.received.map(([item]) => item)).toEqual(['a', 'b', 'new a', 'new b']);
  expect(world.opened).toEqual([40, 42, 42]);
  expect(world.epochs).toEqual(['e', 'e', 'f']);
});

test('a former connection is not heard any more', async () => {
  const world = new World();
  await world.start();
  const former = world.last;
  former.closed();
  await vi.advanceTimersByTimeAsync(1000);
  world.last.live();
  former.received({ epoch: 'e', seq: 41 }, 'late');
  former.closed();
  expect(world.received).toEqual([]);
  expect(world.connection.state).toBe('live');
});

test('pauses grow while the server is away, and say when the next try is', async () => {
  const world = new World();
  world.refuses = new Error('refused');
  const start = Date.now();
  world.connection.start();
  await world.settled();
  expect(world.connection.state).toBe('waiting');
  expect(world.connection.nextTryAt).toBe(start + 1000);
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.connection.nextTryAt).toBe(start + 3000);
  await vi.advanceTimersByTimeAsync(2000);
  expect(world.connection.nextTryAt).toBe(start + 7000);
});

test('what the server refuses is known until it is not, and waited for as long as it takes', async () => {
  const world = new World();
  world.refuses = new Error('slower');
  world.connection.start();
  await world.settled();
  expect(world.connection.why).toBe(world.refuses);
  expect(world.connection.nextTryAt).toBe(Date.now() + 50_000);
  world.refuses = undefined;
  await vi.advanceTimersByTimeAsync(50_000);
  expect(world.connection.state).toBe('connecting');
  expect(world.connection.why).toBeDefined();
  world.last.live();
  expect(world.connection.why).toBeUndefined();
  // A link can be refused as well.
  const denied = new Error('denied');
  world.last.closed(denied);
  expect(world.connection.why).toBe(denied);
});

test('a connection that ends at once does not begin the pauses anew', async () => {
  const world = new World();
  await world.start();
  world.last.closed();
  await vi.advanceTimersByTimeAsync(1000);
  world.last.live();
  world.last.closed();
  expect(world.connection.nextTryAt).toBe(Date.now() + 2000);
  await vi.advanceTimersByTimeAsync(2000);
  world.last.live();
  await vi.advanceTimersByTimeAsync(10_000);
  world.last.closed();
  expect(world.connection.nextTryAt).toBe(Date.now() + 1000);
});

test('a try can be had at once', async () => {
  const world = new World();
  world.refuses = new Error('refused');
  world.connection.start();
  await world.settled();
  world.refuses = undefined;
  world.connection.tryNow();
  await world.settled();
  expect(world.opened).toEqual([40]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(world.opened).toEqual([40]);
});

test('a device without a network is offline, and connects when it has one', async () => {
  const world = new World();
  await world.start();
  world.online = false;
  world.connection.networkChanged();
  expect(world.connection.state).toBe('offline');
  expect(world.closed).toBe(1);
  world.online = true;
  world.connection.networkChanged();
  await world.settled();
  expect(world.opened).toEqual([40, 40]);
});

test('after sleep a connection that seems to stand is checked', async () => {
  const world = new World();
  await world.start();
  world.connection.woke();
  expect(world.checks).toBe(1);
});

test('without a session nothing is tried any more, until somebody signs in', async () => {
  const world = new World();
  await world.start();
  world.last.received({ epoch: 'e', seq: 41 }, 'a');
  world.refuses = new Error('signed out');
  world.last.closed();
  await vi.advanceTimersByTimeAsync(100_000);
  expect(world.connection.state).toBe('idle');
  world.refuses = undefined;
  world.connection.start();
  await world.settled();
  expect(world.opened).toEqual([40, 41]);
});

test('a first cursor that comes after the connection was stopped is not the next one’s', async () => {
  const world = new World();
  let answer: (cursor: { epoch: string; seq: number }) => void = () => undefined;
  world.firstCursor.mockReturnValueOnce(new Promise((resolve) => (answer = resolve)));
  world.connection.start();
  world.connection.stop();
  world.connection.start();
  await world.settled();
  answer({ epoch: 'e', seq: 7 });
  await world.settled();
  expect(world.opened).toEqual([40]);
  expect(world.connection.seen).toEqual({ epoch: 'e', seq: 40 });
});

describe('a link that lasts an hour', () => {
  const MINUTE = 60_000;

  /** Live, and five minutes before its end. */
  async function ending(): Promise<World> {
    const world = new World();
    world.lasts = 60 * MINUTE;
    await world.start();
    world.last.received({ epoch: 'e', seq: 41 }, 'a');
    await vi.advanceTimersByTimeAsync(55 * MINUTE);
    return world;
  }

  test('is followed by another one that was opened before, and nobody notices', async () => {
    const world = await ending();
    expect(world.opened).toEqual([40, 41]);
    expect(world.sides).toEqual([0, 1]);
    expect(world.closed).toBe(0);
    world.last.live();
    expect(world.closed).toBe(1);
    expect(world.states).toEqual(['connecting', 'live']);
    await vi.advanceTimersByTimeAsync(55 * MINUTE);
    expect(world.sides).toEqual([0, 1, 0]);
  });

  test('is heard until the other one is live, and nothing is lost or heard twice', async () => {
    const world = await ending();
    const former = world.events[0];
    former?.received({ epoch: 'e', seq: 42 }, 'b');
    world.last.live();
    world.last.received({ epoch: 'e', seq: 42 }, 'b');
    world.last.received({ epoch: 'e', seq: 43 }, 'c');
    former?.received({ epoch: 'e', seq: 43 }, 'c');
    former?.received({ epoch: 'e', seq: 44 }, 'late');
    former?.closed();
    world.last.received({ epoch: 'e', seq: 44 }, 'd');
    expect(world.received).toEqual([
      ['a', 41],
      ['b', 42],
      ['c', 43],
      ['d', 44],
    ]);
    expect(world.connection.state).toBe('live');
  });

  test('stays while another one cannot be had, which is tried again', async () => {
    const world = await ending();
    world.last.closed();
    world.refuses = new Error('refused');
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(world.states).toEqual(['connecting', 'live']);
    world.refuses = undefined;
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(world.opened).toEqual([40, 41, 41]);
    world.last.live();
    expect(world.states).toEqual(['connecting', 'live']);
  });

  test('that ends before the other one is live is over, and a new one is tried for', async () => {
    const world = await ending();
    const next = world.last;
    world.events[0]?.closed();
    expect(world.connection.state).toBe('waiting');
    next.live();
    next.received({ epoch: 'e', seq: 42 }, 'b');
    expect(world.received).toEqual([['a', 41]]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(world.opened).toEqual([40, 41, 41]);
  });

  test('is not followed by another one when it was stopped meanwhile', async () => {
    const world = await ending();
    world.connection.stop();
    expect(world.closed).toBe(2);
    world.last.live();
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(world.connection.state).toBe('idle');
    expect(world.opened).toEqual([40, 41]);
  });
});

test('on a device whose clock is far ahead links are not renewed all the time', async () => {
  const world = new World();
  world.lasts = -86_400_000;
  await world.start();
  await vi.advanceTimersByTimeAsync(299_000);
  expect(world.opened).toEqual([40]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.opened).toEqual([40, 40]);
});

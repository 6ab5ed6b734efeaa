import { describe, expect, test } from 'vitest';
import { matches, merged, ofAccepted, ofNotification, phase, position, progressed, withChanges, type Message } from './model';

function message(change: Partial<Message> = {}): Message {
  return {
    id: '01a2',
    key: change.id ?? '01a2',
    body: 'hello',
    status: 'queued',
    createdAt: 1000,
    runAt: 5000,
    attempts: 0,
    result: null,
    error: null,
    processedAt: null,
    deliveredAt: null,
    learnedAt: 10,
    ...change,
  };
}

const notification = {
  seq: 7,
  epoch: 'e',
  type: 'message.processed' as const,
  message: {
    id: '01a2',
    body: 'hello',
    status: 'processed' as const,
    result: 'HELLO',
    error: null,
    attempts: 1,
    created_at: '1970-01-01T00:00:01.000Z',
    processed_at: '1970-01-01T00:00:05.003Z',
  },
};

describe('what is learned', () => {
  test('an answer that was asked for earlier changes nothing', () => {
    const known = message({ status: 'processed', learnedAt: 20 });
    expect(merged(known, message({ learnedAt: 15 }))).toBe(known);
  });

  test('a notification ends a message and keeps when it was due', () => {
    const now = merged(message(), ofNotification(notification, 5004, 20));
    expect(now).toMatchObject({ status: 'processed', result: 'HELLO', runAt: 5000, deliveredAt: 5004 });
  });

  test('a text that a notification leaves out stays', () => {
    const left = { ...notification, message: { ...notification.message, body: null, result: null } };
    expect(ofNotification(left, 5004, 20, message())).toMatchObject({ body: 'hello', result: null });
    expect(ofNotification(left, 5004, 20)).toMatchObject({ body: '' });
  });

  test('a notification that is quicker than the answer to the send keeps its row', () => {
    const told = ofNotification(notification, 5004, 20);
    const accepted = ofAccepted(
      { id: '01a2', status: 'queued', run_at: '1970-01-01T00:00:05.000Z', created_at: '1970-01-01T00:00:01.000Z' },
      'hello',
      'key-1',
      15,
    );
    expect(merged(told, accepted)).toMatchObject({ key: 'key-1', status: 'processed', runAt: 5000 });
  });

  test('a word of progress changes what is open, and nothing that has ended', () => {
    const word = { id: '01a2', status: 'queued' as const, run_at: '1970-01-01T00:00:09.000Z', attempts: 1 };
    expect(progressed(message({ status: 'processing' }), word, 20)).toMatchObject({ status: 'queued', runAt: 9000, attempts: 1 });
    expect(progressed(message({ status: 'processed' }), word, 20)).toBeUndefined();
    const failedTwice = message({ attempts: 2 });
    expect(progressed(failedTwice, word, 20)).toBe(failedTwice);
    const failedOnce = message({ attempts: 1 });
    expect(progressed(failedOnce, { ...word, status: 'processing' }, 20)).toBe(failedOnce);
    expect(progressed(failedOnce, { ...word, status: 'processing', attempts: 2 }, 20)).toMatchObject({ status: 'processing' });
  });

  test('when it was delivered first stays, until it is tried again', () => {
    const known = message({ status: 'dead', deliveredAt: 6000 });
    expect(merged(known, message({ status: 'dead', deliveredAt: 9000, learnedAt: 20 })).deliveredAt).toBe(6000);
    expect(merged(known, message({ status: 'queued', learnedAt: 20 })).deliveredAt).toBeNull();
  });
});

describe('what a reader sees', () => {
  test('a message waits, is due, and is processed when the server says so', () => {
    expect([4999, 5000, 50_000].map((now) => phase(message(), now))).toEqual(['queued', 'due', 'due']);
    expect(phase(message({ status: 'processing' }), 0)).toBe('processing');
  });

  test('a processed message is delivered once somebody was told', () => {
    expect(phase(message({ status: 'processed' }), 0)).toBe('processed');
    expect(phase(message({ status: 'processed', deliveredAt: 1 }), 0)).toBe('delivered');
    expect(phase(message({ status: 'dead', deliveredAt: 1 }), 0)).toBe('dead');
  });

  test('what is being processed is among those that are queued', () => {
    expect(matches(message({ status: 'processing' }), 'queued')).toBe(true);
    expect(matches(message({ status: 'processed' }), 'queued')).toBe(false);
    expect(matches(message({ status: 'dead' }), 'all')).toBe(true);
  });
});

describe('the list', () => {
  const ids = (list: readonly Message[]) => list.map(({ id }) => id);

  test('is newest first, however things come', () => {
    let list: Message[] = [];
    list = withChanges(list, ['3', '1', '5'].map((id) => message({ id })));
    list = withChanges(list, ['4', '0', '6'].map((id) => message({ id })));
    expect(ids(list)).toEqual(['6', '5', '4', '3', '1', '0']);
    expect(position(list, '4')).toBe(2);
    expect(position(list, '2')).toBe(4);
  });

  test('has each message once', () => {
    const list = withChanges(
      ['2', '1'].map((id) => message({ id })),
      [message({ id: '1', status: 'processed' }), message({ id: '3' })],
    );
    expect(ids(list)).toEqual(['3', '2', '1']);
    expect(list[2]?.status).toBe('processed');
  });

  test('goes without what was deleted', () => {
    const known = ['3', '2', '1'].map((id) => message({ id }));
    expect(ids(withChanges(known, [], new Set(['2', '9'])))).toEqual(['3', '1']);
    expect(ids(withChanges(known, [message({ id: '4' })], new Set(['3'])))).toEqual(['4', '2', '1']);
  });
});

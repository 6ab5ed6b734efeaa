/** A link over MQTT 5 in a WebSocket. Fetched when it is needed: MQTT.js is larger than the rest of the app. */
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import type { Schemas } from '../api/client';
import type { Link, LinkEvents, InboxCursor } from './connection';
import { Refused } from './refused';

const CONNECT_MS = 15_000;
/** In seconds. Not shorter, as in hidden tabs browsers let timers run once a minute only. */
const KEEP_ALIVE = 60;
const ANSWER_MS = 5000;

/** Each open page has its own, as two tabs have two sessions. */
const clientId = `web-${crypto.randomUUID()}`;

export interface Subscription {
  topic: string;
  /** For inboxes: begin after this cursor, or at the beginning if the inbox is in another epoch by now. */
  after?: InboxCursor;
  qos: 0 | 1;
  /** Another topic, at QoS 0. If it is refused, the link goes on without it. */
  beside?: string;
}

/** A received payload with its topic. */
export interface Received {
  topic: string;
  payload: Uint8Array;
  /** Of a notification in an inbox. */
  cursor: InboxCursor | undefined;
}

export function open(
  access: Schemas['MqttAccess'],
  { topic, after, qos, beside }: Subscription,
  events: Omit<LinkEvents<never>, 'received'> & { received(message: Received): void },
  { suffix = '', until }: { suffix?: string; until?: number } = {},
): Link {
  const client = connect({
    ...address(access.url),
    protocolVersion: 5,
    clean: true,
    clientId: clientId + suffix,
    username: access.username,
    password: access.token,
    keepalive: KEEP_ALIVE,
    connectTimeout: CONNECT_MS,
    // `Connection` reconnects, as each attempt needs a new token.
    reconnectPeriod: 0,
    resubscribe: false,
    // The default timers run in a worker from a blob:, which the Content-Security-Policy forbids.
    timerVariant: 'native',
  });
  let refused: Refused | undefined;
  client.on('connect', () => {
    // First, so that nothing is missed once the other subscription is there.
    if (beside !== undefined) client.subscribe(beside, { qos: 0 }, () => undefined);
    client.subscribe(
      topic,
      {
        qos,
        ...(after !== undefined && {
          properties: { userProperties: { after: String(after.seq), epoch: after.epoch } },
        }),
      },
      (error, _, answer) => {
        if (error === null) {
          events.live();
          return;
        }
        const code = answer?.granted.find((one) => typeof one === 'number' && one >= 0x80);
        if (typeof code === 'number') refused = new Refused(code);
        client.end(true);
      },
    );
  });
  client.on('message', (topic, payload, packet) => {
    const property = (name: string) => {
      const value = packet.properties?.userProperties?.[name];
      return Array.isArray(value) ? value[0] : value;
    };
    const [seq, epoch] = [Number(property('seq')), property('epoch')];
    const cursor = Number.isSafeInteger(seq) && epoch !== undefined ? { epoch, seq } : undefined;
    events.received({ topic, payload, cursor });
  });
  client.on('close', () => {
    events.closed(refused);
  });
  // `close` follows. Without a listener the error would be thrown.
  client.on('error', (error) => {
    refused ??= Refused.of(error);
    client.end(true);
  });
  return new MqttLink(client, until);
}

class MqttLink implements Link {
  readonly until: number | undefined;
  readonly #client: MqttClient;
  #heardAt = 0;

  constructor(client: MqttClient, until: number | undefined) {
    this.until = until;
    this.#client = client;
    client.on('packetreceive', () => {
      this.#heardAt = Date.now();
    });
  }

  close(): void {
    this.#client.removeAllListeners('message');
    this.#client.end(!this.#client.connected);
  }

  check(): void {
    const asked = Date.now();
    if (this.#client.connected) this.#client.sendPing();
    setTimeout(() => {
      if (this.#heardAt < asked) this.#client.end(true);
    }, ANSWER_MS);
  }
}

/** The address in parts. In development it is that of Vite's server, which proxies /mqtt. */
function address(url: string): IClientOptions {
  const { protocol, hostname, port, pathname } = new URL(url);
  const own = { protocol: location.protocol.replace('http', 'ws'), hostname: location.hostname, port: location.port };
  const server = import.meta.env.DEV ? own : { protocol, hostname, port };
  return {
    protocol: server.protocol === 'wss:' ? 'wss' : 'ws',
    hostname: server.hostname,
    ...(server.port !== '' && { port: Number(server.port) }),
    path: pathname,
  };
}

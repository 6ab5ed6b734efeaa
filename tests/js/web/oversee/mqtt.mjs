// A program that speaks MQTT, for what access rules do to it.
import mqtt from 'mqtt';
import { password } from '../browser.mjs';

/** Connected as somebody, with a password. */
export async function clientOf(url, username, clientId) {
  const client = await mqtt.connectAsync(`${url.replace('https', 'wss')}/mqtt`, {
    username,
    password: password(username),
    protocolVersion: 5,
    ...(clientId && { clientId }),
    reconnectPeriod: 0,
    // The local certificate authority is tested elsewhere.
    rejectUnauthorized: false,
  });
  const heard = [];
  client.on('message', (topic, payload) => heard.push(`${topic} ${payload}`));
  const ended = new Promise((resolve) => client.once('close', resolve));
  const answer = (cmd) => new Promise((resolve) => {
    const listener = (packet) => {
      if (packet.cmd !== cmd) return;
      client.off('packetreceive', listener);
      resolve(cmd === 'suback' ? packet.granted[0] : (packet.reasonCode ?? 0));
    };
    client.on('packetreceive', listener);
  });
  return {
    /** What came: topic and text. */
    heard,
    /** Until the server ends the connection. */
    ended,
    /** Whether it may. */
    async subscribe(topic) {
      const code = answer('suback');
      client.subscribe(topic, { qos: 1 }, () => {});
      return (await code) < 0x80;
    },
    async publish(topic, text) {
      const code = answer('puback');
      client.publish(topic, text, { qos: 1 }, () => {});
      return (await code) < 0x80;
    },
    end: () => client.endAsync(true),
  };
}

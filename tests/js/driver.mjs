// Drives one MQTT.js client: a JSON command a line on standard input, a JSON event a line on standard output.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import mqtt from 'mqtt';

const emit = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

let client;

const commands = {
  connect({ url, ca, ...options }) {
    client = mqtt.connect(url, { ...options, ca: ca && readFileSync(ca), reconnectPeriod: 0 });
    client.on('packetreceive', received);
    client.on('message', (topic, payload, { qos, retain, properties = {} }) =>
      emit('message', { topic, payload: payload.toString(), qos, retain, properties }));
    client.on('close', () => emit('closed'));
    client.on('error', ({ message, code }) => emit('error', { message, code }));
  },
  // Refusals are errors here too; the codes come with the packets.
  subscribe({ topic, ...options }) {
    client.subscribe(topic, options, () => {});
  },
  publish({ topic, payload, ...options }) {
    client.publish(topic, payload, options, () => {});
  },
  disconnect() {
    client.end();
  },
};

function received({ cmd, ...packet }) {
  switch (cmd) {
    case 'connack':
      return emit('connack', {
        code: packet.reasonCode ?? packet.returnCode,
        sessionPresent: packet.sessionPresent,
        properties: packet.properties ?? {},
      });
    case 'suback':
      return emit('suback', { codes: packet.granted });
    case 'puback':
    case 'pubcomp':
      return emit(cmd, { code: packet.reasonCode ?? 0 });
    case 'disconnect':
      return emit('disconnect', { code: packet.reasonCode });
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...fields } = JSON.parse(line);
  commands[command](fields);
}
process.exit();

/**
 * Builds MQTT.js from the files that Node.js would load, without what never runs here. The bundle for browsers that it comes
 * with is 83 KB (brotli), more than the rest of the app; so made it is 47 KB. Development takes that bundle.
 */
import { createRequire, isBuiltin } from 'node:module';
import type { Plugin } from 'vite';

const UNUSED = 'module.exports = () => { throw new Error("left out by slim-mqtt.ts"); };';

/** What stands in for a module, by the package that asks for it. */
const INSTEAD: Record<string, Record<string, string>> = {
  mqtt: {
    // Ways to connect that are not a browser's WebSocket.
    './tcp': UNUSED,
    './tls': UNUSED,
    './wx': UNUSED,
    './ali': UNUSED,
    // Takes addresses apart; ours are given in parts.
    url: UNUSED,
    // Timers in a worker from a blob:, which the Content-Security-Policy forbids: `timerVariant` is `native`.
    'worker-timers': 'exports.setInterval = exports.clearInterval = undefined;',
    // Topic aliases are for who publishes. A Map does: there are never more of them than the server allows.
    'lru-cache': 'exports.LRUCache = class extends Map { constructor() { super(); } };',
    debug: 'module.exports = () => () => {};',
    // Asked for its version, and with that for all of it.
    '../../package.json': 'exports.version = "";',
  },
  'mqtt-packet': {
    debug: 'module.exports = () => () => {};',
    'process-nextick-args': 'module.exports = require("process/");',
  },
  // What streams can do besides streaming.
  'readable-stream': {
    './internal/streams/operators': 'exports.streamReturningOperators = exports.promiseReturningOperators = {};',
    './internal/streams/compose': UNUSED,
    './internal/streams/pipeline': 'exports.pipeline = () => {};',
    '../internal/streams/pipeline': 'exports.pipelineImpl = undefined;',
    './duplexify': UNUSED,
    './from': UNUSED,
    'abort-controller': UNUSED,
  },
};

/**
 * `process`, as far as it is asked for. Microtasks and not timers, which browsers slow down to one a second, and later one a
 * minute, while a tab is hidden.
 */
const PROCESS = 'exports.nextTick = (run, ...args) => queueMicrotask(() => run(...args)); exports.env = {};';

/** `\0`: no other plugin looks for a file. `.cjs`: it is JavaScript, whatever it stands in for. */
const idOf = (name: string) => `\0instead:${name}.cjs`;

export function slimMqtt(): Plugin {
  const texts = new Map<string, string>();
  return {
    name: 'herald-slim-mqtt',
    apply: 'build',
    enforce: 'pre',
    buildStart() {
      texts.clear();
    },
    async resolveId(source, importer) {
      if (source === 'mqtt') return createRequire(import.meta.url).resolve('mqtt');
      if (source === 'process/') return instead(source, PROCESS);
      const from = packageOf(importer);
      const text = INSTEAD[from]?.[source];
      if (text !== undefined) return instead(`${from} ${source}`, text);
      if (!(from in INSTEAD) || !isBuiltin(source)) return;
      // Vite would put in an empty module, with a warning that nobody sees.
      const found = await this.resolve(source, importer, { skipSelf: true });
      if (found === null || !found.id.includes('node_modules')) this.error(`${from} asks for ${source} of Node.js: see slim-mqtt.ts`);
      return found;
    },
    load(id) {
      return texts.get(id);
    },
    transform(code, id) {
      return packageOf(id) === 'mqtt' ? { code: `const process = require("process/");${code}`, map: null } : undefined;
    },
    // An update of MQTT.js may move things: then what was left out would silently be back.
    buildEnd(error) {
      if (error !== undefined) return;
      for (const [from, modules] of Object.entries(INSTEAD)) {
        for (const source of Object.keys(modules)) {
          if (!texts.has(idOf(`${from} ${source}`))) this.error(`${from} asks for ${source} no more: see slim-mqtt.ts`);
        }
      }
    },
  };

  function instead(name: string, text: string): string {
    const id = idOf(name);
    texts.set(id, text);
    return id;
  }
}

/** `/…/node_modules/mqtt/build/index.js` is of `mqtt`. */
function packageOf(id = ''): string {
  return /.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(id)?.[1] ?? '';
}

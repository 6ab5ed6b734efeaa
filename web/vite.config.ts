import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { compress } from './compress.ts';
import { slimMqtt } from './slim-mqtt.ts';

/** The server that `npm run dev` talks to: HERALD=https://127.0.0.1:8443. */
const server = process.env.HERALD ?? 'https://localhost:8443';
const proxy = { target: server, secure: false, changeOrigin: true };

export default defineConfig({
  // MQTT.js from its sources, without what never runs here: the first load would be two thirds of its bundle.
  plugins: [svelte(), slimMqtt(), compress()],
  server: {
    proxy: {
      '/api': proxy,
      '/docs': proxy,
      '/mqtt': { ...proxy, ws: true },
    },
  },
  build: {
    target: 'es2023',
    // Everything is a file of its own: the Content-Security-Policy knows no data: and nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    outDir: process.env.HERALD_WEB_OUT ?? 'dist',
    emptyOutDir: true,
    reportCompressedSize: false,
  },
  test: {
    include: ['src/**/*.test.ts'],
  },
});

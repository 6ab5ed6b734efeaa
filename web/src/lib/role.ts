/** Keeps the role up to date: a new one ends all MQTT sessions of its user, so it is read again with each connection. */
import { live } from './live/live.svelte';
import { session } from './session.svelte';

live.onLive(() => void session.load());

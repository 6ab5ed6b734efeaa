/** The role as it is by now. A new one ends all MQTT sessions of its user: when the next one stands, it is asked for. */
import { live } from './live/live.svelte';
import { session } from './session.svelte';

live.onLive(() => void session.load());

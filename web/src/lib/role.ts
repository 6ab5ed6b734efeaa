/** Keeps the role up to date: a change of role ends all MQTT sessions of the user, so it is read again with each connection. */
import { live } from './live/live.svelte';
import { session } from './session.svelte';

live.onLive(() => void session.load());

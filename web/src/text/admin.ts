/** All words, with those of the administrator's pages: others do not import this, so that the first load is without them. */
import { text as everyones, type Text } from '.';
import { admin, type AdminText } from './en/admin';

export const text: Text & AdminText = { ...everyones, ...admin };

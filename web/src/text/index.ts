/** The app's words, in the reader's language: English is the only one yet. */
import { en, type Text } from './en';

export type { Text };

export const text: Text = en;

/** The app's words in the reader's language, which for now is English. */
import { en, type Text } from './en';

export type { Text };

export const text: Text = en;

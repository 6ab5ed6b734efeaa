/** How English writes numbers and times: as the reader's English does, or else as Europe reads it. */
export const locale = globalThis.navigator?.languages.find((one) => /^en\b/.test(one)) ?? 'en-GB';

/** `1,200`. */
export const number = (n: number, options?: Intl.NumberFormatOptions): string => n.toLocaleString(locale, options);

/** `1 message`, or `1,200 messages`. */
export const counted = (n: number, one: string, more: string): string => (n === 1 ? `1 ${one}` : `${number(n)} ${more}`);

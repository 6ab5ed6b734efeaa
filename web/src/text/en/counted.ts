/** `1 message`, or `1,200 messages`. */
export const counted = (n: number, one: string, more: string): string =>
  n === 1 ? `1 ${one}` : `${n.toLocaleString()} ${more}`;

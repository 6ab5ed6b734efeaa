/** Units of time: their size in milliseconds, and how they are written. */
import { text } from '../text';

export const SIZES = { d: 86_400_000, h: 3_600_000, min: 60_000, s: 1000, ms: 1 } as const;

export type Unit = keyof typeof SIZES;

/** `5 min`. */
export function written(n: number | string, unit: Unit): string {
  return `${n} ${text.units[unit][0]}`;
}

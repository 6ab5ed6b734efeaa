/** The slider's scale, from 0 to 30 days: each position is a round time. */
const [S, MIN, H, D] = [1000, 60_000, 3_600_000, 86_400_000];

const STOPS = [
  ...[0, 10, 20, 50, 100, 200, 300, 500, 750],
  ...[1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45].map((n) => n * S),
  ...[1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45].map((n) => n * MIN),
  ...[1, 1.5, 2, 3, 4, 6, 8, 12, 18].map((n) => n * H),
  ...[1, 1.5, 2, 3, 4, 5, 7, 10, 14, 21, 30].map((n) => n * D),
] as const;

export const LAST = STOPS.length - 1;

/** Positions that are labelled. */
export const MARKS = [0, S, MIN, H, D, 30 * D].map((ms) => ({ ms, share: positionOf(ms) / LAST }));

/** The position of a time on the slider; a fraction if it is between two positions. */
export function positionOf(ms: number): number {
  const above = STOPS.findIndex((stop) => stop >= ms);
  if (above < 0) return LAST;
  if (above === 0) return 0;
  const [low, high] = [STOPS[above - 1] ?? 0, STOPS[above] ?? 0];
  return above - 1 + (ms - low) / (high - low);
}

/** The time at a position, in milliseconds. */
export function timeAt(position: number): number {
  return STOPS[Math.min(LAST, Math.max(0, Math.round(position)))] ?? 0;
}

/** The time of the next position, or of the previous one. */
export function step(ms: number, by: 1 | -1): number {
  const position = positionOf(ms);
  return timeAt(by > 0 ? Math.floor(position) + 1 : Math.ceil(position) - 1);
}

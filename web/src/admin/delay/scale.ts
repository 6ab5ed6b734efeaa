/** The slider's scale, from nothing to 30 days: every place is a time that one would choose. */
const [S, MIN, H, D] = [1000, 60_000, 3_600_000, 86_400_000];

const STOPS = [
  ...[0, 10, 20, 50, 100, 200, 300, 500, 750],
  ...[1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45].map((n) => n * S),
  ...[1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45].map((n) => n * MIN),
  ...[1, 1.5, 2, 3, 4, 6, 8, 12, 18].map((n) => n * H),
  ...[1, 1.5, 2, 3, 4, 5, 7, 10, 14, 21, 30].map((n) => n * D),
] as const;

export const LAST = STOPS.length - 1;

/** Places that are labelled. */
export const MARKS = [0, S, MIN, H, D, 30 * D].map((ms) => ({ ms, share: placeOf(ms) / LAST }));

/** Where on the slider a time is; between two places if it is none of theirs. */
export function placeOf(ms: number): number {
  const above = STOPS.findIndex((stop) => stop >= ms);
  if (above < 0) return LAST;
  if (above === 0) return 0;
  const [low, high] = [STOPS[above - 1] ?? 0, STOPS[above] ?? 0];
  return above - 1 + (ms - low) / (high - low);
}

/** The time at a place, in milliseconds. */
export function atPlace(place: number): number {
  return STOPS[Math.min(LAST, Math.max(0, Math.round(place)))] ?? 0;
}

/** One place further, from wherever it is. */
export function step(ms: number, by: 1 | -1): number {
  const place = placeOf(ms);
  return atPlace(by > 0 ? Math.floor(place) + 1 : Math.ceil(place) - 1);
}

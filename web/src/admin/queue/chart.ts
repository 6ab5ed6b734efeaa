/** The scales of the charts. */
import type { Schemas } from '../../lib/api/client';

type Minute = Schemas['QueueMinute'];

/** How many minutes are shown. */
export const MINUTES = 60;

export interface Slot {
  /** How many minutes ago it began, in whole: 0 is the minute of now. */
  ago: number;
  /** When it began, in milliseconds. */
  at: number;
  /** Its values; `undefined` for minutes before the server started. */
  processed: number | undefined;
  p50: number | undefined;
  p99: number | undefined;
}

/** A slot with its values for each of the last minutes, oldest first. */
export function slots(items: readonly Minute[]): Slot[] {
  const known = items.slice(-MINUTES);
  const missing = MINUTES - known.length;
  const last = Date.parse(known.at(-1)?.at ?? '');
  return Array.from({ length: MINUTES }, (_, index) => {
    const minute = known[index - missing];
    const ago = MINUTES - 1 - index;
    return {
      ago,
      at: minute ? Date.parse(minute.at) : last - ago * 60_000,
      processed: minute?.processed,
      p50: minute?.latency?.p50_ms,
      p99: minute?.latency?.p99_ms,
    };
  });
}

const STEPS = [1, 2, 2.5, 5, 10];
const TIMES_MS = [1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000];

/** Even steps from 0 to `most` or more, in whole numbers. */
export function countTicks(most: number, steps: number): number[] {
  return evenly(nice(Math.max(most, 1) / steps, (step) => Number.isInteger(step)), most, steps);
}

/** As `countTicks`, for milliseconds: steps that are whole on a clock. */
export function timeTicks(most: number, steps: number): number[] {
  const wanted = Math.max(most, 1) / steps;
  const size = wanted <= 500 ? nice(wanted, (step) => Number.isInteger(step)) : TIMES_MS.find((time) => time >= wanted);
  return evenly(size ?? Math.ceil(wanted / 3_600_000) * 3_600_000, most, steps);
}

function nice(wanted: number, fits: (step: number) => boolean): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(wanted, 1)));
  return STEPS.map((step) => step * power).find((step) => step >= wanted && fits(step)) ?? power * 10;
}

function evenly(size: number, most: number, steps: number): number[] {
  const count = Math.min(steps, Math.max(1, Math.ceil(most / size)));
  return Array.from({ length: count + 1 }, (_, n) => n * size);
}

/** How long the stroke is that stands for a point alone. */
const ALONE = 5;

/** The attribute `d` of a path through the points, with gaps where a value is missing. */
export function line(points: readonly { x: number; y: number | undefined }[]): string {
  let path = '';
  let drawing = false;
  for (const [index, { x, y }] of points.entries()) {
    if (y === undefined) {
      drawing = false;
      continue;
    }
    const alone = !drawing && points[index + 1]?.y === undefined;
    if (alone) path += `M${round(x - ALONE / 2)} ${round(y)}h${ALONE}`;
    else path += `${drawing ? 'L' : 'M'}${round(x)} ${round(y)}`;
    drawing = true;
  }
  return path;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

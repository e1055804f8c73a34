// A line through the second half of a memory curve, and how sure its slope is.
import { median } from '../accounting.ts';

export interface Trend {
  readonly firstMb: number;
  readonly highestMb: number;
  /** Of the second half. */
  readonly medianMb: number;
  readonly mbPerHour: number;
  /** Standard error of the slope. */
  readonly errorMbPerHour: number;
}

interface Point {
  readonly seconds: number;
  readonly mb: number;
}

/** Neighbours depend on each other (a heap grows until it is collected): means of blocks hardly do. */
const blocks = 20;

export function fitSecondHalf(points: readonly Point[]): Trend {
  const half = points.slice(Math.floor(points.length / 2));
  const { slope, error } = fit(blockMeans(half));
  return {
    firstMb: points[0]?.mb ?? Number.NaN,
    highestMb: Math.max(...points.map(({ mb }) => mb)),
    medianMb: median(half.map(({ mb }) => mb)),
    mbPerHour: slope * 3600,
    errorMbPerHour: error * 3600,
  };
}

function blockMeans(points: readonly Point[]): Point[] {
  const size = Math.max(1, Math.floor(points.length / blocks));
  const means: Point[] = [];
  for (let from = 0; from + size <= points.length; from += size) {
    const block = points.slice(from, from + size);
    means.push({
      seconds: mean(block.map(({ seconds }) => seconds)),
      mb: mean(block.map(({ mb }) => mb)),
    });
  }
  return means;
}

/** Least squares. */
function fit(points: readonly Point[]): { slope: number; error: number } {
  const x = mean(points.map(({ seconds }) => seconds));
  const y = mean(points.map(({ mb }) => mb));
  const spread = sum(points.map(({ seconds }) => (seconds - x) ** 2));
  const slope = sum(points.map(({ seconds, mb }) => (seconds - x) * (mb - y))) / spread;
  const left = sum(points.map(({ seconds, mb }) => (mb - y - slope * (seconds - x)) ** 2));
  return { slope, error: Math.sqrt(left / Math.max(1, points.length - 2) / spread) };
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

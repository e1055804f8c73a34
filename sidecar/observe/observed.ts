// What all data planes of this process have seen, as the admin endpoint tells it: asked of each, and put together.
import type { CallRecord, EdgeCount } from '#api/call-record.ts';

import { mergeEdges } from './edges.ts';
import { mergeLimits, type LimitUsage } from './limits.ts';
import type { Ask, Question, Answer } from './questions.ts';
import type { TapFilter } from './tap-filter.ts';
import { TapQueue } from './tap-queue.ts';

/** Each costs every call that it wants a record. */
export const tapsMax = 4;

export interface OpenTap {
  readonly queue: TapQueue;
  close(): void;
}

/** A plane that did not answer (a worker that is started anew) is asked again after so long. */
const askAgainMs = 100;

export class Observed {
  readonly #planes: readonly Ask[];
  readonly #taps = new Set<number>();
  #nextTap = 0;

  constructor(planes: readonly Ask[]) {
    this.#planes = planes;
  }

  /** JSON of the record; null: no plane has it, or not any more. */
  async why(id: string): Promise<string | null> {
    return (await this.#all({ about: 'why', id })).find((json) => json !== null) ?? null;
  }

  /** JSON of each, newest first. @param verdict null: either */
  async recent(limit: number, verdict: CallRecord['verdict']): Promise<readonly string[]> {
    const kept = (await this.#all({ about: 'recent', limit, verdict })).flat();
    return kept
      .toSorted((a, b) => b.atMs - a.atMs)
      .slice(0, limit)
      .map(({ json }) => json);
  }

  async edges(): Promise<readonly EdgeCount[]> {
    return mergeEdges(await this.#all({ about: 'edges' }));
  }

  async limits(): Promise<readonly LimitUsage[]> {
    return mergeLimits(await this.#all({ about: 'limits' }));
  }

  /** Resolves when every plane listens. Null: there are too many taps. */
  async tap(filter: TapFilter): Promise<OpenTap | null> {
    if (this.#taps.size >= tapsMax) return null;
    const id = this.#nextTap++;
    this.#taps.add(id);
    const queue = new TapQueue();
    const question = { about: 'tap', tap: id, filter } as const;
    await this.#all(question);
    for (const plane of this.#planes) void this.#follow(plane, question, queue);
    return {
      queue,
      close: () => {
        queue.end();
        if (this.#taps.delete(id)) void this.#all({ about: 'tap-end', tap: id });
      },
    };
  }

  /** One question at a time is on its way to a plane, so that a slow reader fills no port. */
  async #follow(
    plane: Ask,
    question: Extract<Question, { about: 'tap' }>,
    queue: TapQueue,
  ): Promise<void> {
    while (this.#taps.has(question.tap)) {
      const taken = await plane(question);
      if (taken === null) {
        await new Promise((resolve) => setTimeout(resolve, askAgainMs));
        continue;
      }
      queue.noteDropped(taken.dropped);
      for (const line of taken.lines) queue.push(line);
    }
    // What was asked before the end may have opened it anew.
    void plane({ about: 'tap-end', tap: question.tap });
  }

  async #all<Asked extends Question>(question: Asked): Promise<Answer<Asked>[]> {
    const answers = await Promise.all(this.#planes.map((plane) => plane(question)));
    return answers.filter((answer) => answer !== null);
  }
}

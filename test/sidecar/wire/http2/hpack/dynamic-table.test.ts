import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { DynamicTable } from '#sidecar/wire/http2/hpack/dynamic-table.ts';
import type { Field } from '#test/sidecar/wire/http2/fields.ts';

function add(table: DynamicTable, [name, value]: Field): void {
  const bytes = Buffer.from(name + value, 'latin1');
  table.add(bytes, 0, name.length, bytes, name.length, bytes.length);
}

/** The newest first. */
function contentOf(table: DynamicTable): Field[] {
  const all: Field[] = [];
  for (let number = table.added - 1; number >= table.oldest; number--) {
    const split = table.nameEnd(number);
    const name = table.bytes.toString('latin1', table.nameStart(number), split);
    all.push([name, table.bytes.toString('latin1', split, table.valueEnd(number))]);
  }
  return all;
}

/** The table as RFC 7541 4 words it. */
class NaiveTable {
  readonly fields: Field[] = [];
  max: number;

  constructor(max: number) {
    this.max = max;
  }

  get size(): number {
    return this.fields.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  }

  add([name, value]: Field): void {
    const bytes = name.length + value.length + 32;
    this.evict(Math.min(bytes, this.max));
    if (bytes <= this.max) this.fields.unshift([name, value]);
  }

  evict(bytes: number): void {
    while (this.size + bytes > this.max && this.fields.length > 0) this.fields.pop();
  }
}

test('an entry counts 32 bytes beside its own', () => {
  const table = new DynamicTable(4096);
  add(table, ['custom-key', 'custom-header']);
  expect(table.size).toBe(55);
});

test('an entry larger than the table empties it and is no error', () => {
  const table = new DynamicTable(100);
  add(table, ['a', 'b']);
  add(table, ['c', 'd'.repeat(67)]);
  expect(table.size).toBe(100);
  add(table, ['e', 'f'.repeat(68)]);
  expect([table.count, table.size]).toEqual([0, 0]);
  add(table, ['g', 'h']);
  expect(contentOf(table)).toEqual([['g', 'h']]);
});

test('a table of no bytes holds nothing', () => {
  const table = new DynamicTable(0);
  add(table, ['', '']);
  expect(table.count).toBe(0);
});

test('it is what the RFC says after any entries and sizes, names of its own among them', () => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.tuple(fc.string({ maxLength: 9 }), fc.nat(120)) },
    { weight: 3, arbitrary: fc.record({ nameOf: fc.nat(20), valueBytes: fc.nat(80) }) },
    { weight: 1, arbitrary: fc.nat(512) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const table = new DynamicTable(512);
      const naive = new NaiveTable(512);
      for (const one of steps) {
        if (typeof one === 'number') {
          table.resize(one);
          naive.max = one;
          naive.evict(0);
        } else if (Array.isArray(one)) {
          const field: Field = [Buffer.from(one[0]).toString('latin1'), 'v'.repeat(one[1])];
          add(table, field);
          naive.add(field);
        } else if (table.count > 0) {
          const number = table.added - 1 - (one.nameOf % table.count);
          const value = Buffer.alloc(one.valueBytes, 'w');
          const { bytes } = table;
          naive.add([naive.fields[one.nameOf % table.count]![0], value.toString()]);
          table.add(bytes, table.nameStart(number), table.nameEnd(number), value, 0, value.length);
        }
        expect(contentOf(table)).toEqual(naive.fields);
        expect(table.size).toBe(naive.size);
      }
    }),
    { numRuns: 300 },
  );
});

import { expect, it } from "vitest";
import { entryOf, withEntry } from "./records";

const NAMES = ["__proto__", "constructor", "toString", "hasOwnProperty", "seed 0"];

it.each(NAMES)("has an entry for %s only once that is written", (name) => {
  const record = { other: 1 };
  expect(entryOf<number>(record, name)).toBeUndefined();
  const written = withEntry<number>(record, name, 2);
  expect(entryOf(written, name)).toBe(2);
  expect(Object.keys(written)).toEqual(["other", name]);
  expect(entryOf(withEntry<number>(written, name, 3), name)).toBe(3);
  expect(entryOf(withEntry<number>(written, name, undefined), name)).toBeUndefined();
  expect(record).toEqual({ other: 1 });
});

it.each(NAMES)("keeps the entry for %s through JSON", (name) => {
  const written = JSON.parse(JSON.stringify(withEntry<string[]>({}, name, ["a"]))) as Record<string, string[]>;
  expect(entryOf(written, name)).toEqual(["a"]);
  expect(entryOf(withEntry<string[]>(written, "other", []), name)).toEqual(["a"]);
});

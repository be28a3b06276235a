/**
 * Records with an entry for each model, layer or measure. Such names are any text: a model may be called "constructor",
 * which every object has, or "__proto__", which cannot be written like other entries.
 */

/** The entry of this name; undefined if the record has none. */
export function entryOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** A copy of the record with this entry; without it if the value is undefined. */
export function withEntry<T>(
  record: Readonly<Record<string, T>>,
  name: string,
  value: T | undefined,
): Record<string, T> {
  const others = Object.entries(record).filter(([one]) => one !== name);
  return Object.fromEntries(value === undefined ? others : [...others, [name, value]]);
}

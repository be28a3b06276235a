import { expect, it } from "vitest";
import type { DecodedInside } from "../state/latest_numbers";
import { rgbaOf, thumbnailOf } from "./samples";

const sample = (index: number) => ({ index, label: null, value: 0.5 });

it("finds the thumbnail of a sample; the most agreed ones follow the least agreed", () => {
  const inside = {
    least: [sample(1), sample(2)],
    most: [sample(3)],
    thumbnail: [1, 2, 3],
    thumbnails: Uint8Array.from({ length: 18 }, (_, k) => k),
  } as unknown as DecodedInside;
  expect([...thumbnailOf(inside, "least", 1)!.bytes]).toEqual([6, 7, 8, 9, 10, 11]);
  expect([...thumbnailOf(inside, "most", 0)!.bytes]).toEqual([12, 13, 14, 15, 16, 17]);
  expect(thumbnailOf(inside, "most", 1)).toBeUndefined();
  expect(thumbnailOf({ ...inside, thumbnail: null }, "least", 0)).toBeUndefined();
});

it("makes pixels of one to four channels", () => {
  const pixels = (channels: number, ...bytes: number[]) => [
    ...rgbaOf({ height: 1, width: bytes.length / channels, channels, bytes: Uint8Array.from(bytes) }),
  ];
  expect(pixels(1, 9, 200)).toEqual([9, 9, 9, 255, 200, 200, 200, 255]);
  expect(pixels(2, 9, 128)).toEqual([9, 9, 9, 128]);
  expect(pixels(3, 1, 2, 3)).toEqual([1, 2, 3, 255]);
  expect(pixels(4, 1, 2, 3, 4)).toEqual([1, 2, 3, 4]);
});

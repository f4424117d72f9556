import { expect, test } from "vitest";
import { fitted, pictureIn } from "./pictures";

test("a large picture is made to fit and keeps its shape; a small one stays; a line stays one pixel wide", () => {
  expect(fitted(4000, 3000)).toEqual([512, 384]);
  expect(fitted(300, 512)).toEqual([300, 512]);
  expect(fitted(1, 90_000)).toEqual([1, 512]);
});

test("of what was dropped the first picture counts, other files do not", () => {
  const file = (type: string) => ({ type }) as File;
  const given = { files: [file("text/plain"), file("image/png"), file("image/jpeg")] } as unknown as DataTransfer;
  expect(pictureIn(given)!.type).toBe("image/png");
  expect(pictureIn({ files: [file("text/plain")] } as unknown as DataTransfer)).toBeNull();
  expect(pictureIn(null)).toBeNull();
});

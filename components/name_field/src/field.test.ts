import { expect, test } from "vitest";
import { tooLong } from "./field";

test("a name that is too long is counted as Python counts it", () => {
  expect(tooLong("x".repeat(200))).toBe("");
  expect(tooLong("\u{1f408}".repeat(200))).toBe("");
  expect(tooLong(` ${"a  b ".repeat(50)} `)).toBe("");
  expect(tooLong("y".repeat(10_000))).toBe("A name may have 200 characters; this one has 10,000. Shorten it.");
});

import { expect, test } from "vitest";
import { matching, rank } from "./match";

const entry = (title: string) => ({ kind: "page", value: title, title });

test("a title that begins with the text comes before one that holds it", () => {
  expect([rank("Label", "la"), rank("Find a label", "la"), rank("Explain", "la"), rank("Images", "la")]).toEqual([0, 1, 2, null]);
  const found = matching([{ title: "Go to", entries: [entry("Explain"), entry("Label"), entry("Images")] }], "la");
  expect(found).toEqual([{ title: "Go to", entries: [entry("Label"), entry("Explain")] }]);
});

test("without a text everything is there, and a group without a match is not", () => {
  const groups = [{ title: "Go to", entries: [entry("Label")] }];
  expect(matching(groups, "  ")).toBe(groups);
  expect(matching(groups, "xyz")).toEqual([]);
});

import { expect, test } from "vitest";
import { pathIn } from "./path";

test.each([
  ["/home/me/photographs", "/home/me/photographs"],
  ["  ~/photographs \n", "~/photographs"],
  ["C:\\Users\\me", "C:\\Users\\me"],
  ["D:/images", "D:/images"],
  ["\\\\server\\images", "\\\\server\\images"],
  ["file:///home/me/my%20photographs", "/home/me/my photographs"],
  ["file:///C:/Users/me", "C:/Users/me"],
  ["# a comment\r\nfile:///home/me\r\nfile:///home/you", "/home/me"],
])("%j is the path %j", (text, path) => {
  expect(pathIn(text)).toBe(path);
});

test.each(["", "photographs", "https://example.org/photographs", "# /home/me", "C: is full"])("%j is no path", (text) => {
  expect(pathIn(text)).toBe("");
});

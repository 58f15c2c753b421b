import assert from "node:assert/strict";
import { nearest } from "./nearest.ts";

const NAMES = ["runtime.log_level", "runtime.enable_debug", "agent.log_level", "agent.kernel_modules", "factory.path"];

Deno.test.each([
  { word: "runtime.log_levle", near: "runtime.log_level", what: "two letters exchanged" },
  { word: "runtime.enabledebug", near: "runtime.enable_debug", what: "one letter missing" },
  { word: "agent.log_levels", near: "agent.log_level", what: "one letter more" },
  { word: "runtime.kernel_modules", near: "agent.kernel_modules", what: "the name in another table" },
  { word: "agemt.log_level", near: "agent.log_level", what: "the table with a slip, before another table" },
  { word: "factory.bath", near: "factory.path", what: "a letter of a short name" },
  { word: "factory.xyz", near: undefined, what: "nothing near" },
  { word: "", near: undefined, what: "nothing" },
  { word: `runtime.${"x".repeat(1e6)}`, near: undefined, what: "a word without end" },
])("nearest() of $word is $near: $what", ({ word, near }) => {
  assert.equal(nearest(word, NAMES), near);
});

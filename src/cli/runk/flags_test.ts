import assert from "node:assert/strict";
import { describeFlags, parseFlags } from "./flags.ts";

const TABLE = {
  bundle: { kind: "text", aliases: ["b"], help: "where", value: "DIR" },
  detach: { kind: "flag", aliases: ["d"], help: "return at once" },
  env: { kind: "list", aliases: ["e"], help: "one more", value: "NAME=VALUE" },
} as const;

Deno.test.each([
  { args: [], flags: { bundle: undefined, detach: false, env: [] }, rest: [] },
  { args: ["--bundle", "/b", "id"], flags: { bundle: "/b", detach: false, env: [] }, rest: ["id"] },
  { args: ["-b=/b", "-d", "id"], flags: { bundle: "/b", detach: true, env: [] }, rest: ["id"] },
  { args: ["-bundle=", "--detach=false"], flags: { bundle: "", detach: false, env: [] }, rest: [] },
  { args: ["-e", "A=1", "--env=B=2"], flags: { bundle: undefined, detach: false, env: ["A=1", "B=2"] }, rest: [] },
  { args: ["id", "ls", "-d"], flags: { bundle: undefined, detach: false, env: [] }, rest: ["id", "ls", "-d"] },
  { args: ["-d", "--", "-b"], flags: { bundle: undefined, detach: true, env: [] }, rest: ["-b"] },
  { args: ["-"], flags: { bundle: undefined, detach: false, env: [] }, rest: ["-"] },
])("parseFlags($args) keeps $rest", ({ args, flags, rest }) => {
  assert.deepEqual(parseFlags(TABLE, args), { flags, rest });
});

Deno.test.each([
  { args: ["id", "-d", "--bundle", "/b"], flags: { bundle: "/b", detach: true, env: [] }, rest: ["id"] },
  { args: ["id", "-d", "KILL"], flags: { bundle: undefined, detach: true, env: [] }, rest: ["id", "KILL"] },
  { args: ["id", "--", "-d"], flags: { bundle: undefined, detach: false, env: [] }, rest: ["id", "-d"] },
])("runk 45: parseFlags($args) to the end keeps $rest", ({ args, flags, rest }) => {
  assert.deepEqual(parseFlags(TABLE, args, "end"), { flags, rest });
});

Deno.test.each([
  { args: ["--nosuch"], message: "flag provided but not defined: -nosuch" },
  { args: ["--bundle"], message: "flag needs an argument: -bundle" },
  { args: ["--detach=maybe"], message: 'invalid boolean value "maybe" for -detach' },
])("parseFlags($args) says $message", ({ args, message }) => {
  assert.throws(() => parseFlags(TABLE, args), { name: "RangeError", message });
});

Deno.test("describeFlags() aligns names and help", () => {
  assert.equal(
    describeFlags(TABLE),
    "   --bundle, -b DIR      where\n   --detach, -d          return at once\n   --env, -e NAME=VALUE  one more\n",
  );
});

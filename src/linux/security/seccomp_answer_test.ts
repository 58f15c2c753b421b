import assert from "node:assert/strict";
import { compileSeccomp } from "./seccomp.ts";
import { allowsCall } from "./seccomp_answer.ts";
import { onlyCalls } from "./seccomp_only.ts";

const NEW_NAMESPACES = 0x7e020000;

Deno.test("allowsCall() says what a filter of single calls says, and no to what is no filter", () => {
  const program = onlyCalls(["getpid", "setsid"]);
  assert.ok(allowsCall(program, { name: "getpid" }));
  assert.ok(allowsCall(program, { name: "setsid" }));
  assert.ok(!allowsCall(program, { name: "clone" }));
  assert.ok(!allowsCall(new Uint8Array(), { name: "getpid" }));
  assert.ok(!allowsCall(new Uint8Array(8).fill(0xff), { name: "getpid" }));
});

Deno.test("allowsCall() looks at arguments as engines' filters do", () => {
  const { program } = compileSeccomp({
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [
      {
        names: ["clone"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: NEW_NAMESPACES, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      },
      { names: ["ioctl"], action: "SCMP_ACT_LOG", args: [{ index: 1, value: 0x540e, op: "SCMP_CMP_GE" }] },
      { names: ["setsid"], action: "SCMP_ACT_ALLOW" },
    ],
  });
  const answers = [
    { name: "clone", args: [0x108000] },
    { name: "clone", args: [0x20000000] },
    { name: "ioctl", args: [0, 0x540e, 0] },
    { name: "ioctl", args: [0, 0x540d, 0] },
    { name: "setsid" },
    { name: "clone3" },
  ] as const;
  assert.deepEqual(answers.map((call) => allowsCall(program, call)), [true, false, true, false, true, false]);
});

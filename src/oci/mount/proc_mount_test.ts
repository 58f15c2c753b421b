import assert from "node:assert/strict";
import { parseMountOptions } from "../../linux/mount/mount_options.ts";
import { SyscallProgram } from "../../linux/child_program/program.ts";
import type { PlannedMount } from "./planned.ts";
import { addKindCheck, procsOf, verifyProc } from "./proc_mount.ts";
import { leftOutUnlessRoot } from "../../base/testing/left_out.ts";

Deno.test("F4: verifyProc() takes a proc, and nothing else that a tracer could have had opened for one", {
  ignore: leftOutUnlessRoot(import.meta),
}, () => {
  verifyProc(Deno.pid, "/proc");
  for (const path of ["/sys", "/dev", "/"]) {
    assert.throws(() => verifyProc(Deno.pid, path), { code: "PERMISSION_DENIED" }, path);
  }
});

Deno.test("F4: addKindCheck() lets a proc pass, and no kind that takes any option, or this one not", {
  ignore: leftOutUnlessRoot(import.meta),
}, async () => {
  /** Some are not in every kernel. */
  const known = Deno.readTextFileSync("/proc/filesystems").split("\n").map((line) => line.split("\t").at(-1)!);
  for (const type of known.filter((one) => !["", "pipefs", "sockfs", "bdev"].includes(one))) {
    using program = new SyscallProgram();
    const context = program.slot();
    program.call("fsopen", [type, 1], { result: context, label: "open it" });
    addKindCheck(program, context, "/there");
    await using child = program.start();
    const passed = child.executed();
    if (type === "proc") await passed;
    else await assert.rejects(passed, /tampered with|^ErrnoError: open it/, type);
  }
});

Deno.test("procsOf() tells of each proc that is seen in the end, and of none that a later mount covers", () => {
  const at = (type: string, destination: string): PlannedMount => {
    return { kind: "filesystem", type, destination, source: type, options: parseMountOptions([]) };
  };
  const mounts = [at("proc", "/a/proc"), at("proc", "/proc"), at("proc", "/b"), at("tmpfs", "/b"), at("tmpfs", "/a")];
  assert.deepEqual(procsOf(mounts), ["/proc"]);
  assert.deepEqual(procsOf([at("tmpfs", "/a"), at("proc", "/a/proc"), at("tmpfs", "/a/proc2")]), ["/a/proc"]);
});

/** Measures process starts and pipe throughput. Needs root: `deno bench -A src/linux/process/spawn_bench.ts`. */
import { eventfd, pipe } from "../io/fd.ts";
import { readable, readSome, writeAll } from "../io/poll.ts";
import { spawn } from "./spawn.ts";
import { awaitByte } from "../child_program/calls.ts";
import { SyscallProgram } from "../child_program/program.ts";

const TRUE = { args: ["true"], env: [] };

Deno.bench("Deno.Command, for comparison", { group: "start" }, async () => {
  await new Deno.Command("/bin/true", { stdin: "null", stdout: "null", stderr: "null" }).output();
});

Deno.bench("spawn() and wait()", { group: "start", baseline: true }, async () => {
  await spawn({ path: "/bin/true", env: {} }).wait();
});

Deno.bench("a program in new user, mount, uts, ipc and pid namespaces", { group: "start" }, async () => {
  const program = new SyscallProgram();
  program.call("mount", ["none", "/", null, 0x44000, null]);
  program.call("mount", ["proc", "/proc", "proc", 0, null]);
  program.execve(["/bin/true"], TRUE);
  await program.start({ flags: ["newuser", "newns", "newuts", "newipc", "newpid"], vfork: true }).wait();
});

Deno.bench("a parked program, released", { group: "start" }, async () => {
  using go = pipe();
  const program = new SyscallProgram();
  awaitByte(program, go.read.number, { label: "wait" });
  program.execve(["/bin/true"], TRUE);
  const child = program.start();
  go.write.write(new Uint8Array(1));
  await child.executed();
  await child.wait();
});

Deno.bench("laying out a program of 60 steps", { group: "steps" }, () => {
  using program = new SyscallProgram();
  for (let step = 0; step < 60; step++) program.call("mount", ["source", "/some/target", "tmpfs", 0, "mode=755"]);
});

const counter = eventfd();
const one = new Uint8Array(BigUint64Array.of(1n).buffer);

Deno.bench("readable(): one wake by the poll thread", { group: "poll" }, async () => {
  const waiting = readable(counter);
  counter.write(one);
  await waiting;
  counter.read(new Uint8Array(8));
});

const MIB = 64;
const chunk = new Uint8Array(64 << 10);

Deno.bench(`${MIB} MiB through a pipe, both ends ours`, { group: "bulk" }, async () => {
  using ends = pipe();
  ends.read.setNonblocking();
  ends.write.setNonblocking();
  const writing = (async () => {
    for (let sent = 0; sent < MIB << 20; sent += chunk.length) await writeAll(ends.write, chunk);
  })();
  const buffer = new Uint8Array(64 << 10);
  for (let got = 0; got < MIB << 20;) got += await readSome(ends.read, buffer);
  await writing;
});

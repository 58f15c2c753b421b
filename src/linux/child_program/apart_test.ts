import assert from "node:assert/strict";
import { Fd, O_RDONLY, O_RDWR, pipe, setFileSize } from "../io/fd.ts";
import { readText } from "../io/fd_stream.ts";
import { awaitByte, report } from "./calls.ts";
import { SyscallProgram } from "./program.ts";

const TRUE = { args: ["true"], env: [] };

Deno.test("a child apart executes", async () => {
  const program = new SyscallProgram({ apart: { keeps: [] } });
  program.execve(["/bin/true"], TRUE);
  const child = program.start();
  await child.executed();
  assert.deepEqual(await child.wait(), { code: 0 });
});

Deno.test("a child apart tells which step failed", async () => {
  const program = new SyscallProgram({ apart: { keeps: [] } });
  program.call("chdir", ["/no/such"]);
  program.execve(["/bin/true"], TRUE);
  await using child = program.start();
  await assert.rejects(child.executed(), { message: "chdir /no/such: ENOENT" });
  assert.deepEqual(await child.wait(), { code: 127 });
});

Deno.test("a child apart that finds no program says why: what may not be run counts more than what is not there", async () => {
  const program = new SyscallProgram({ apart: { keeps: [] } });
  program.execve(["/etc/passwd", "/no/such"], { ...TRUE, label: "run" });
  await using child = program.start();
  await assert.rejects(child.executed(), { message: "run: EACCES" });
});

Deno.test("a child apart that has begun takes what is written later, whatever it has written itself meanwhile", async () => {
  using hold = pipe();
  using output = pipe();
  const program = new SyscallProgram({ apart: { keeps: [hold.read.number, output.write.number] } });
  for (let count = 0; count < 100; count++) program.call("getpid", [], { result: program.slot() });
  awaitByte(program, hold.read.number, { label: "wait" });
  await using child = program.begin();
  for (let count = 0; count < 100; count++) program.call("getppid", [], { result: program.slot() });
  program.call("dup3", [output.write.number, 1, 0]);
  program.execve(["/bin/sh"], { args: ["sh", "-c", "echo later"], env: [] });
  program.complete();
  hold.write.write(new Uint8Array(1));
  output.write[Symbol.dispose]();
  assert.equal(await readText(output.read), "later\n");
  await child.executed();
});

/** A child apart that waits. */
async function parked(): Promise<AsyncDisposable & { pid: number; go: Fd }> {
  const hold = pipe();
  const reports = pipe();
  const program = new SyscallProgram({ apart: { keeps: [hold.read.number, reports.write.number] } });
  report(program, reports.write.number, { message: "h" });
  awaitByte(program, hold.read.number, { label: "wait" });
  program.execve(["/bin/true"], TRUE);
  const child = program.start();
  assert.equal(reports.read.read(new Uint8Array(1)), 1);
  reports[Symbol.dispose]();
  return {
    pid: child.pid,
    go: hold.write,
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      hold[Symbol.dispose]();
    },
  };
}

Deno.test("F4: a child apart has nothing of ours: program, command line, environment, mappings, descriptors", async () => {
  await using child = await parked();
  const proc = `/proc/${child.pid}`;
  assert.match(Deno.readLinkSync(`${proc}/exe`), /^\/memfd:init/);
  assert.deepEqual([Deno.readTextFileSync(`${proc}/cmdline`), Deno.readTextFileSync(`${proc}/environ`)], [
    "init\0",
    "",
  ]);
  const mapped = Deno.readTextFileSync(`${proc}/maps`).trim().split("\n").map((line) => line.slice(73).trim());
  const own = [
    "/memfd:init (deleted)",
    "/memfd:steps (deleted)",
    "[stack]",
    "[vvar]",
    "[vvar_vclock]",
    "[vdso]",
    "[vsyscall]",
    "",
  ];
  assert.deepEqual(mapped.filter((name) => !own.includes(name)), []);
  const links = [...Deno.readDirSync(`${proc}/fd`)].filter(({ name }) => Number(name) > 2).map(({ name }) =>
    Deno.readLinkSync(`${proc}/fd/${name}`)
  );
  assert.equal(links.length, 3, links.join());
  assert.ok(links.every((link) => link.startsWith("pipe:")), links.join());
});

Deno.test("F4: a child apart writes into no memory of ours but one page, and what it forks into none", async () => {
  await using child = await parked();
  const shared = Deno.readTextFileSync(`/proc/${child.pid}/maps`).split("\n").filter((line) => line.includes("rw-s"));
  assert.equal(shared.length, 1, shared.join());
  const flags = Deno.readTextFileSync(`/proc/${child.pid}/smaps`).split("\n").filter((line) =>
    line.startsWith("VmFlags")
  );
  assert.deepEqual(flags.filter((line) => line.includes(" sh ")).map((line) => line.includes(" dc ")), [true]);
});

Deno.test("F4: nobody can change what we share with a child apart by the part that others see", async () => {
  await using child = await parked();
  const maps = Deno.readTextFileSync(`/proc/${child.pid}/maps`).split("\n").filter((line) =>
    line.includes("memfd:steps")
  );
  assert.equal(maps.length, 2);
  for (const line of maps) {
    using memory = Fd.open(`/proc/${child.pid}/map_files/${line.split(" ")[0]}`, O_RDWR);
    assert.throws(() => memory.writeAllAt(new Uint8Array(1), 0), { message: /EPERM/ });
    assert.throws(() => setFileSize(memory, 0), { message: /EPERM/ });
  }
});

Deno.test("F4: nobody can change what children apart become, also when he has got hold of it", async () => {
  const child = await parked();
  using image = Fd.open(`/proc/${child.pid}/exe`, O_RDONLY);
  await child[Symbol.asyncDispose]();
  using anew = Fd.open(`/proc/self/fd/${image.number}`, O_RDWR);
  assert.throws(() => anew.writeAllAt(new Uint8Array(1), 0), { message: /EPERM/ });
  assert.throws(() => setFileSize(anew, 0), { message: /EPERM/ });
});

Deno.test("a child apart keeps its descriptors by their numbers, until its execve", async () => {
  using output = pipe();
  const program = new SyscallProgram({ apart: { keeps: [output.write.number] } });
  program.call("dup3", [output.write.number, 1, 0]);
  program.execve(["/bin/sh"], { args: ["sh", "-c", "echo /proc/self/fd/*"], env: [] });
  await using child = program.start();
  output.write[Symbol.dispose]();
  const open = (await readText(output.read)).trim().split(" ").map((path) => Number(path.split("/").at(-1)));
  assert.ok(!open.includes(program.reportNumber), open.join());
  await child.executed();
});

Deno.test("children apart may be many at once", async () => {
  await using stack = new AsyncDisposableStack();
  for (let count = 0; count < 20; count++) stack.use(await parked());
});

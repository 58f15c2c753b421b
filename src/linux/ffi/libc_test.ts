import assert from "node:assert/strict";
import { bind, bindLibrary, check, cstring } from "./libc.ts";

Deno.test("bind() looks a symbol up when it is first called, under another name if one is given", () => {
  const libc = bind({
    getpid: { parameters: [], result: "i32" },
    parent: { name: "getppid", parameters: [], result: "i32" },
    absent: { name: "no_such_function", parameters: [], result: "i32" },
  });
  assert.equal(libc.getpid(), Deno.pid);
  assert.equal(libc.parent(), Deno.ppid);
  assert.throws(() => libc.absent(), { message: 'Cannot find "no_such_function" in library "libc.so.6"' });
});

Deno.test("bindLibrary() names the library that is missing", () => {
  const library = bindLibrary("libnosuch.so.1", { f: { parameters: [], result: "void" } });
  assert.throws(() => library.f(), { message: 'Cannot load library "libnosuch.so.1"' });
});

Deno.test("check() throws the errno of the call that failed", () => {
  const libc = bind({ chdir: { parameters: ["buffer"], result: "i32" } });
  const path = cstring("/no/such");
  assert.throws(() => check("chdir", () => libc.chdir(path), "/no/such"), {
    message: "chdir /no/such: ENOENT",
    errno: 2,
  });
});

Deno.test("cstring() ends with NUL and refuses one inside", () => {
  assert.deepEqual(cstring("é"), new Uint8Array([0xc3, 0xa9, 0]));
  assert.throws(() => cstring("a\0b"), { name: "TypeError" });
});

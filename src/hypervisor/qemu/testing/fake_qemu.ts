/** For tests: an executable that behaves like QEMU as far as its monitor goes. @module */

const PROGRAM = new URL("./fake_qemu_program.ts", import.meta.url).pathname;
let wrapper: string | undefined;

/** @returns Path of the executable; made once per process, in a directory that goes with it. */
export function fakeQemu(): string {
  if (wrapper !== undefined) return wrapper;
  const directory = Deno.makeTempDirSync({ prefix: "kata-fake-qemu-" });
  wrapper = `${directory}/qemu`;
  Deno.writeTextFileSync(wrapper, `#!/bin/sh\nexec ${Deno.execPath()} run -A --no-config --no-lock ${PROGRAM} "$@"\n`);
  Deno.chmodSync(wrapper, 0o755);
  globalThis.addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));
  return wrapper;
}

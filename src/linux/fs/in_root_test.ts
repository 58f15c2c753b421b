import assert from "node:assert/strict";
import { isErrno } from "../ffi/errno.ts";
import { Fd, O_DIRECTORY, O_PATH } from "../io/fd.ts";
import { openInRoot, readTextOf } from "./in_root.ts";
import { leftOutUnlessRoot } from "../../base/testing/left_out.ts";

Deno.test("readTextOf() reads regular files only", () => {
  using root = Fd.open("/", O_PATH | O_DIRECTORY);
  const limit = 1 << 16;
  const read = (path: string) => {
    using node = openInRoot(root, path, { flags: O_PATH });
    return readTextOf(node, { path, limit });
  };
  assert.equal(read("/proc/sys/kernel/ostype"), "Linux\n");
  for (const path of ["/dev/null", "/etc"]) {
    assert.throws(() => read(path), { message: `Cannot read "${path}": no regular file` });
  }
});

Deno.test({
  name: "F17: readTextOf() is not kept by a regular file that has nothing to say",
  ignore: leftOutUnlessRoot(import.meta),
  fn() {
    using file = Fd.open("/proc/kmsg", O_PATH);
    try {
      readTextOf(file, { path: "/proc/kmsg", limit: 1 << 20 });
    } catch (error) {
      assert.ok(isErrno(error, "EAGAIN", "EPERM") || error instanceof RangeError, String(error));
    }
  },
});

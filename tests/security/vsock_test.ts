/** S1: containers have no vsock, whatever way they take. */
import assert from "node:assert/strict";
import { ERRNO } from "../../src/linux/ffi/errno.ts";
import type { PodContainer } from "../interop/pod.ts";
import { pods } from "../interop/pod.ts";
import { hostileContainer, podWith } from "./hostile_container.ts";
import { VSOCK_WAYS, vsockProgram, type VsockWay } from "./vsock_programs.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

const ignore = leftOut(import.meta, Deno.build.arch !== "x86_64" && "its programs are for x86-64");

Deno.test({
  name: "the programs that try to make a vsock socket can make one where nobody forbids it",
  ignore,
  fn: async () => {
    const path = Deno.makeTempFileSync();
    try {
      for (const way of VSOCK_WAYS) {
        Deno.writeFileSync(path, vsockProgram(way));
        Deno.chmodSync(path, 0o755);
        assert.equal((await new Deno.Command(path).output()).code, 0, way);
      }
    } finally {
      Deno.removeSync(path);
    }
  },
});

pods("S1: a container gets no vsock socket, by no way, with no rights", async (node) => {
  const rights = { privileged: true };
  await using pod = await node.pod("pod", podWith(rights));
  const containers = [
    await hostileContainer(pod, "plain"),
    await hostileContainer(pod, "privileged", rights),
  ];
  for (const container of containers) {
    for (const way of ignore ? [] : VSOCK_WAYS) {
      assert.equal(await tryVsock(container, way), ERRNO.EAFNOSUPPORT, way);
    }
  }
});

/** @returns The errno, or 0. */
async function tryVsock(container: PodContainer, way: VsockWay): Promise<number> {
  const program = vsockProgram(way).toBase64();
  const { status, stderr } = await container.tryExec(
    `echo ${program} | base64 -d >/tmp/try && chmod +x /tmp/try && /tmp/try`,
  );
  assert.equal(stderr, "", way);
  return status;
}

import assert from "node:assert/strict";
import { isErrno } from "../../ffi/errno.ts";
import { LITTLE_ENDIAN } from "../../ffi/libc.ts";
import { connectVsock, vsockAddress } from "./vsock_stream.ts";

Deno.test("vsockAddress() is a struct sockaddr_vm", () => {
  const bytes = vsockAddress({ cid: 0xffff_fffe, port: 0x8765_4321 });
  const view = new DataView(bytes.buffer);
  assert.equal(bytes.length, 16);
  assert.deepEqual([view.getUint16(0, LITTLE_ENDIAN), view.getUint32(4, LITTLE_ENDIAN)], [40, 0x8765_4321]);
  assert.deepEqual([view.getUint32(8, LITTLE_ENDIAN), view.getUint32(12, LITTLE_ENDIAN)], [0xffff_fffe, 0]);
});

Deno.test("S1: connectVsock() from a port that is taken says so, but not which, and leaves no descriptor", async () => {
  const ownPort = 0x4000_0000 + Deno.pid;
  using _taken = listenIfPossible(ownPort);
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  await assert.rejects(connectVsock({ cid: 3, port: 1024, ownPort }), (error: Error) => {
    assert.match(error.message, /^bind: EADDRINUSE$|^socket: EAFNOSUPPORT$/);
    return true;
  });
  assert.equal([...Deno.readDirSync("/proc/self/fd")].length, before);
});

/** @returns undefined on a kernel without vsock. */
function listenIfPossible(port: number): Deno.Listener | undefined {
  try {
    return Deno.listen({ transport: "vsock", cid: 0xffff_ffff, port });
  } catch (error) {
    if (isErrno(error, "EAFNOSUPPORT")) return undefined;
    throw error;
  }
}

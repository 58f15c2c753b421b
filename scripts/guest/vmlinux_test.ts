import assert from "node:assert/strict";
import { findPayload } from "./vmlinux.ts";

function bzImage(payload: readonly number[]): Uint8Array {
  const image = new Uint8Array(2 * 512 + 16 + payload.length + 4);
  const view = new DataView(image.buffer);
  image[0x1f1] = 1; // one sector of set-up code after the boot sector
  const littleEndian = true;
  view.setUint32(0x202, 0x53726448, littleEndian);
  view.setUint32(0x248, 16, littleEndian);
  view.setUint32(0x24c, payload.length + 4, littleEndian);
  image.set(payload, 2 * 512 + 16);
  return image;
}

Deno.test.each([
  { payload: [0x02, 0x21, 0x4c, 0x18, 9], command: ["lz4", "-dc"] },
  { payload: [0x28, 0xb5, 0x2f, 0xfd, 9], command: ["zstd", "-dcq"] },
  { payload: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 9], command: ["xz", "-dc"] },
  { payload: [0x1f, 0x8b, 9], command: ["gzip", "-dc"] },
])("findPayload() recognises what $command unpacks", ({ payload, command }) => {
  const found = findPayload(bzImage(payload));
  assert.deepEqual([...found.payload], payload);
  assert.deepEqual(found.command, command);
});

Deno.test("findPayload() refuses what is no bzImage, and an unknown compression", () => {
  assert.throws(() => findPayload(new Uint8Array(4096)), /no bzImage/);
  assert.throws(() => findPayload(bzImage([1, 2, 3, 4])), /compression is unknown/);
});

import assert from "node:assert/strict";
import { memfd, setFileSize } from "../io/fd.ts";
import { copySparse, dataBytes, dataExtents, mergeExtents } from "./sparse_copy.ts";

const PAGE = 4096;
const SIZE = 64 << 20;

/** A file in memory with pages of `n` at the given page numbers. */
function sparse(pages: readonly number[]) {
  const fd = memfd("sparse");
  const path = `/proc/self/fd/${fd.number}`;
  setFileSize(fd, SIZE);
  using file = Deno.openSync(path, { write: true });
  for (const page of pages) {
    file.seekSync(page * PAGE, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(PAGE).fill(1 + page % 255));
  }
  return { fd, path };
}

Deno.test("copySparse() copies all data and leaves the holes", async () => {
  const pages = [0, 1, 5, 300, 301, 9_000, SIZE / PAGE - 1];
  const { fd: source, path: from } = sparse(pages);
  const { fd: target, path: to } = sparse([]);
  await copySparse({ source, target });
  assert.deepEqual(Deno.readFileSync(to), Deno.readFileSync(from));
  assert.ok(dataBytes(target) < 20 * PAGE, "the large holes are still holes");
  source[Symbol.dispose]();
  target[Symbol.dispose]();
});

Deno.test("copySparse() says why it cannot, and which step it was", async () => {
  const { fd: source } = sparse([0]);
  const { fd: target } = sparse([]);
  await assert.rejects(copySparse({ source, target }, { cgroupProcs: ["/no/such/cgroup.procs"] }), {
    message: /join \/no\/such\/cgroup\.procs.*ENOENT/,
  });
  source[Symbol.dispose]();
  target[Symbol.dispose]();
});

Deno.test("dataExtents() of a file without data is empty", () => {
  const { fd } = sparse([]);
  assert.deepEqual(dataExtents(fd), []);
  fd[Symbol.dispose]();
});

Deno.test("mergeExtents() joins what is close and cuts what is too long for one call", () => {
  assert.deepEqual(mergeExtents([{ start: 0, end: 10 }, { start: 20, end: 30 }, { start: 1 << 20, end: 2 << 20 }]), [
    { start: 0, end: 30 },
    { start: 1 << 20, end: 2 << 20 },
  ]);
  assert.deepEqual(mergeExtents([{ start: 0, end: 2 ** 30 + 5 }]), [
    { start: 0, end: 2 ** 30 },
    { start: 2 ** 30, end: 2 ** 30 + 5 },
  ]);
});

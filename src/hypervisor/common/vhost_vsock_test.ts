import assert from "node:assert/strict";
import { waitsForRings } from "./vhost_vsock.ts";

/** As the kernel shows an epoll set of the daemon, with these marks. */
function epollSet(marks: readonly number[]): string {
  const rows = marks.map((mark, index) =>
    `tfd: ${String(index + 8).padStart(8)} events:       19 data: ${
      mark.toString(16).padStart(16)
    }  pos:0 ino:9 sdev:f\n`
  );
  return `pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t9\n${rows.join("")}`;
}

Deno.test.each([
  { what: "an epoll set without rings", fdinfo: epollSet([3, 4, 5]), expected: false },
  { what: "one ring only", fdinfo: epollSet([3, 4, 5, 0]), expected: false },
  { what: "both rings", fdinfo: epollSet([3, 4, 5, 0, 1]), expected: true },
  { what: "marks that only begin so", fdinfo: epollSet([0x10, 0x11]), expected: false },
  {
    what: "another kind of descriptor",
    fdinfo: "pos:\t0\nflags:\t02\neventfd-count:                1\n",
    expected: false,
  },
])("W17: waitsForRings() of $what: $expected", ({ fdinfo, expected }) => {
  assert.equal(waitsForRings(fdinfo), expected);
});

import assert from "node:assert/strict";
import { type CommonConfig, defaultConfig } from "../../config/schema.ts";
import { virtiofsdArgs } from "./virtiofsd.ts";
import type { VirtiofsdProgram } from "./virtiofsd_program.ts";

function args(program: Omit<VirtiofsdProgram, "path">, change: Partial<CommonConfig> = {}): string {
  const config = { ...defaultConfig().hypervisor, ...change };
  return virtiofsdArgs({ config, source: "/share", program: { path: "/v", ...program } }).join(" ");
}

const C = { kind: "c", options: new Set(["xattr", "no_xattr", "posix_acl"]) } as const;
const RUST = { kind: "rust", options: new Set(["--xattr", "--posix-acl"]) } as const;

Deno.test("virtiofsdArgs() speaks to QEMU's own daemon", () => {
  assert.equal(
    args(C, { virtio_fs_extra_args: ["-o", "flock"] }),
    "--fd=3 -f -o source=/share -o sandbox=namespace -o modcaps=-mknod -o cache=auto -o announce_submounts -o log_level=warn " +
      "-o xattr -o posix_acl -o flock",
  );
});

Deno.test("virtiofsdArgs() speaks to the Rust daemon", () => {
  assert.equal(
    args(RUST, { virtio_fs_cache: "metadata" }),
    "--fd=3 --shared-dir=/share --sandbox=namespace --modcaps=-mknod --cache=metadata --announce-submounts --inode-file-handles=never " +
      "--log-level=warn --xattr --posix-acl",
  );
});

Deno.test.each<{ cache: CommonConfig["virtio_fs_cache"]; option: string }>([
  { cache: "never", option: "cache=none" },
  { cache: "metadata", option: "cache=auto" },
  { cache: "always", option: "cache=always" },
])("virtiofsdArgs() calls $cache $option for QEMU's own daemon", ({ cache, option }) => {
  assert.ok(args(C, { virtio_fs_cache: cache }).includes(option));
});

Deno.test("pods A5: virtiofsdArgs() asks a daemon for attributes and lists of access only where it knows them", () => {
  assert.ok(!args({ kind: "rust", options: new Set(["--shared-dir"]) }).includes("xattr"));
  assert.match(args({ kind: "c", options: new Set(["xattr"]) }), /-o xattr$/);
  for (const program of [C, RUST]) {
    assert.ok(!/ xattr|--xattr|acl/.test(args(program, { virtio_fs_xattr: false })), program.kind);
  }
});

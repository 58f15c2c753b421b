import assert from "node:assert/strict";
import { type CommonConfig, defaultConfig } from "../../config/schema.ts";
import { virtiofsdArgs, type VirtiofsdKind, virtiofsdKind } from "./virtiofsd.ts";

function args(kind: VirtiofsdKind, change: Partial<CommonConfig> = {}): string {
  return virtiofsdArgs({ config: { ...defaultConfig().hypervisor, ...change }, source: "/share", kind }).join(" ");
}

Deno.test.each<{ version: string; kind: VirtiofsdKind }>([
  {
    version: "virtiofsd version 7.2.22 (Debian)\nCopyright (c) Fabrice Bellard and the QEMU Project developers",
    kind: "c",
  },
  { version: "virtiofsd 1.13.2\n", kind: "rust" },
  { version: "virtiofsd backend 1.1.0", kind: "rust" },
])("virtiofsdKind() of '$version' is $kind", ({ version, kind }) => assert.equal(virtiofsdKind(version), kind));

Deno.test("virtiofsdArgs() speaks to QEMU's own daemon", () => {
  assert.equal(
    args("c", { virtio_fs_extra_args: ["-o", "xattr"] }),
    "--fd=3 -f -o source=/share -o sandbox=namespace -o modcaps=-mknod -o cache=auto -o announce_submounts -o log_level=warn -o xattr",
  );
});

Deno.test("virtiofsdArgs() speaks to the Rust daemon", () => {
  assert.equal(
    args("rust", { virtio_fs_cache: "metadata" }),
    "--fd=3 --shared-dir=/share --sandbox=namespace --modcaps=-mknod --cache=metadata --announce-submounts --inode-file-handles=never " +
      "--log-level=warn",
  );
});

Deno.test.each<{ cache: CommonConfig["virtio_fs_cache"]; option: string }>([
  { cache: "never", option: "cache=none" },
  { cache: "metadata", option: "cache=auto" },
  { cache: "always", option: "cache=always" },
])("virtiofsdArgs() calls $cache $option for QEMU's own daemon", ({ cache, option }) => {
  assert.ok(args("c", { virtio_fs_cache: cache }).includes(option));
});

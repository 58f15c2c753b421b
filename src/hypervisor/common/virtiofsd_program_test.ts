import assert from "node:assert/strict";
import { defaultConfig } from "../../config/schema.ts";
import { createLogger } from "../../base/log.ts";
import { filesOf } from "../../config/testing/temporary_files.ts";
import { findVirtiofsd, type VirtiofsdKind, virtiofsdKind, virtiofsdOptions } from "./virtiofsd_program.ts";

const C_VERSION =
  "virtiofsd version 7.2.22 (Debian)\nCopyright (c) Fabrice Bellard and the QEMU Project developers\nusing FUSE 7.36";

Deno.test.each<{ version: string; kind: VirtiofsdKind | undefined }>([
  { version: C_VERSION, kind: "c" },
  { version: "virtiofsd 1.13.2\n", kind: "rust" },
  { version: "virtiofsd backend 1.1.0", kind: "rust" },
  { version: "virtiofsd: libc.so.6: version `GLIBC_2.39' not found (required by virtiofsd)", kind: undefined },
  { version: "", kind: undefined },
])("virtiofsdKind() of '$version' is $kind", ({ version, kind }) => assert.equal(virtiofsdKind(version), kind));

Deno.test("virtiofsdOptions() reads both forms of help", () => {
  const rust =
    "Options:\n      --shared-dir <SHARED_DIR>\n          Long text --not-this\n      --posix-acl[=<never|auto>]\n" +
    "  -h, --help\n";
  assert.deepEqual([...virtiofsdOptions(rust)], ["--shared-dir", "--posix-acl", "--help"]);
  const c = "    -h   --help                print help\n    -o xattr|no_xattr          enable\n" +
    "    -o posix_acl/no_posix_acl  Enable\n    -o cache=<mode>    mode\n";
  assert.deepEqual([...virtiofsdOptions(c)], ["--help", "xattr", "no_xattr", "posix_acl", "no_posix_acl", "cache"]);
});

/** Programs that say what a daemon says of itself, in a directory of their own. */
function daemons(programs: Record<string, string>): Disposable & { path(name: string): string } {
  const script = (version: string) =>
    `#!/bin/sh\nif [ "$1" = --version ]; then echo '${version}'; else echo '  --xattr'; fi\n`;
  const files = filesOf(Object.fromEntries(Object.entries(programs).map(([name, text]) => [name, script(text)])));
  for (const name of Object.keys(programs)) Deno.chmodSync(files.path(name), 0o755);
  return files;
}

async function find(places: readonly string[], virtio_fs_daemon = "") {
  const lines: string[] = [];
  const log = createLogger({ sink: (line) => void lines.push(line) });
  const program = await findVirtiofsd({ config: { ...defaultConfig().hypervisor, virtio_fs_daemon }, log, places });
  return { ...program, warnings: lines.filter((line) => line.includes("supplementary group")).length };
}

Deno.test("kubernetes K1: findVirtiofsd() prefers the newer daemon, wherever it stands, and warns of the older", async () => {
  using files = daemons({
    c: C_VERSION,
    rust: "virtiofsd 1.14.0",
    broken: "GLIBC_2.39 not found",
    open: "virtiofsd 1.14.0",
  });
  const [c, rust, broken, open] = ["c", "rust", "broken", "open"].map((name) => files.path(name));
  Deno.chmodSync(open!, 0o777); // anybody may write what root would run
  const choose = async (...places: readonly string[]) => {
    const { path, kind, warnings } = await find(places);
    return { path, kind, warnings };
  };
  assert.deepEqual(await choose(c!, rust!), { path: rust, kind: "rust", warnings: 0 });
  assert.deepEqual(await choose("/no/such", broken!, open!, c!), { path: c, kind: "c", warnings: 1 });
  await assert.rejects(choose("/no/such", broken!), {
    message: /Cannot find a virtiofsd: .*ENOENT.*GLIBC_2\.39 not found/,
  });
  const configured = await find([rust!], c);
  assert.deepEqual([configured.path, configured.kind, configured.warnings], [c, "c", 1]);
  assert.deepEqual([...configured.options], ["--xattr"]);
});

import assert from "node:assert/strict";
import { defaultConfig } from "../../config/schema.ts";
import { createLogger } from "../../base/log.ts";
import { filesOf } from "../../config/testing/temporary_files.ts";
import { findVirtiofsd, type VirtiofsdKind, virtiofsdKind, virtiofsdOptions } from "./virtiofsd_program.ts";

const RUST_HELP = "Options:\n      --shared-dir <SHARED_DIR>\n          Long text --not-this\n" +
  "      --posix-acl[=<never|auto>]\n  -h, --help\n";
const C_HELP = "    -h   --help                print help\n    -o xattr|no_xattr          enable\n" +
  "    -o posix_acl/no_posix_acl  Enable\n    -o source=PATH             shared directory tree\n";

Deno.test.each<{ help: string; kind: VirtiofsdKind | undefined }>([
  { help: C_HELP, kind: "c" },
  { help: RUST_HELP, kind: "rust" },
  { help: "virtiofsd: libc.so.6: version `GLIBC_2.39' not found (required by virtiofsd)", kind: undefined },
  { help: "", kind: undefined },
])("virtiofsdKind() of '$help' is $kind", ({ help, kind }) => assert.equal(virtiofsdKind(help), kind));

Deno.test("virtiofsdOptions() reads both forms of help", () => {
  assert.deepEqual([...virtiofsdOptions(RUST_HELP)], ["--shared-dir", "--posix-acl", "--help"]);
  assert.deepEqual([...virtiofsdOptions(C_HELP)], [
    "--help",
    "xattr",
    "no_xattr",
    "posix_acl",
    "no_posix_acl",
    "source",
  ]);
});

/** Programs that say what a daemon says of itself, in a directory of their own. */
function daemons(programs: Record<string, string>): Disposable & { path(name: string): string } {
  const script = (help: string) => `#!/bin/sh\ncat <<'EOF'\n${help}\nEOF\n`;
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
    c: C_HELP,
    rust: RUST_HELP,
    broken: "GLIBC_2.39 not found",
    open: RUST_HELP,
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
  assert.ok(configured.options.has("posix_acl"));
});

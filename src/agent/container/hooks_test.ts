import assert from "node:assert/strict";
import { addGuestHooks } from "./hooks.ts";

Deno.test("addGuestHooks() appends executables in order of their names and nothing else", () => {
  const root = Deno.makeTempDirSync({ prefix: "kata-hooks-" });
  try {
    Deno.mkdirSync(`${root}/prestart/dir`, { recursive: true });
    for (const [name, mode] of [["b", 0o755], ["a", 0o700], ["readme", 0o644]] as const) {
      Deno.writeTextFileSync(`${root}/prestart/${name}`, "", { mode });
    }
    const own = { path: "/bin/own" };
    const spec = addGuestHooks({ ociVersion: "1.2.0", hooks: { prestart: [own] } }, root);
    assert.deepEqual(spec.hooks, {
      prestart: [
        own,
        { path: `${root}/prestart/a`, args: ["a", "prestart"] },
        { path: `${root}/prestart/b`, args: ["b", "prestart"] },
      ],
    });
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

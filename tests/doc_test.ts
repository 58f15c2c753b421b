/** Holds the documentation of the public face: what `deno.json` exports besides the program. */
import assert from "node:assert/strict";
import { ROOT } from "./house.ts";

const { exports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT))) as {
  exports: Record<string, string>;
};
const FACE = Object.entries(exports).filter(([name]) => name !== ".").map(([, file]) => file);

/** @returns The faults that `deno doc --lint` finds, each as `file:line: what`. */
async function docFaults(files: readonly string[]): Promise<string[]> {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", ...files],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stderr);
  const found = [...text.matchAll(/^error\[([\w-]+)\]: (.*)\n +--> (\S+?):(\d+):\d+$/gm)];
  assert.equal(found.length, Number(/Found (\d+) documentation lint error/.exec(text)?.[1] ?? 0), text);
  return found.filter(([, rule, what, file]) => rule !== "private-type-ref" || !isOfPackage(what!, file!))
    .map(([, , what, file, line]) => `${file!.slice(ROOT.pathname.length)}:${line}: ${what}`);
}

/** Types of the packages that a file imports are documented there. */
function isOfPackage(fault: string, file: string): boolean {
  const type = /private type '(\w+)'/.exec(fault)![1]!;
  const imports = Deno.readTextFileSync(file).matchAll(/^import (?:type )?\{([^}]*)\} from "@[^"]+";$/gm);
  return [...imports].some(([, names]) => new RegExp(`\\b${type}\\b`).test(names!));
}

Deno.test("public face: every symbol that the package exports is documented, and so are the types that it mentions", async () => {
  assert.ok(FACE.length > 0);
  assert.deepEqual(await docFaults(FACE), []);
});

Deno.test("public face: a symbol without documentation is found", async () => {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, "interface Hidden { a: number }\nexport function bare(_: Hidden): void {}\n");
    const faults = await docFaults([file]);
    assert.equal(faults.length, 2, faults.join("\n"));
  } finally {
    await Deno.remove(file);
  }
});

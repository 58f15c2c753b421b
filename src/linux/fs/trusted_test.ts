import assert from "node:assert/strict";
import { distrust, openTrusted, UntrustedError } from "./trusted.ts";
import { leftOutUnlessRoot } from "../../base/testing/left_out.ts";

/** A directory of one's own, gone at the end of the scope. */
class Box implements Disposable {
  readonly path = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "kata-trusted-" }));

  /** Makes directories and a file with this text. */
  file(name: string, text = ""): string {
    const path = `${this.path}/${name}`;
    Deno.mkdirSync(path.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(path, text);
    return path;
  }

  link(name: string, target: string): string {
    Deno.symlinkSync(target, `${this.path}/${name}`);
    return `${this.path}/${name}`;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("openTrusted() opens what is root's or ours, below /tmp too, and follows links like the kernel", () => {
  using box = new Box();
  const file = box.file("etc/conf/c.toml", "text");
  box.link("etc/relative", "conf/../conf/./c.toml");
  box.link("absolute", `${box.path}/etc`);
  for (
    const path of [
      file,
      `${box.path}/etc/relative`,
      `${box.path}/absolute/relative`,
      `${box.path}/./etc//../etc/relative`,
    ]
  ) {
    using opened = openTrusted(path);
    assert.equal(opened.path, file);
    assert.equal(Deno.readTextFileSync(opened.seen), "text");
  }
  using root = openTrusted("/../..");
  assert.equal(root.path, "/");
});

Deno.test("openTrusted() reads the file that it looked at, whatever stands there afterwards", () => {
  using box = new Box();
  using opened = openTrusted(box.file("c", "first"));
  Deno.renameSync(`${box.path}/c`, `${box.path}/old`);
  box.file("c", "second");
  assert.equal(Deno.readTextFileSync(opened.seen), "first");
});

Deno.test("openTrusted() ends at a loop of links and at what is not there", () => {
  using box = new Box();
  assert.throws(() => openTrusted(box.link("loop", "loop")), UntrustedError);
  assert.throws(() => openTrusted(`${box.path}/none`), { code: "ENOENT" });
  assert.throws(() => openTrusted(`${box.file("file")}/below`), { code: "ENOTDIR" });
  assert.throws(() => openTrusted("relative"), RangeError);
  assert.equal(distrust(`${box.path}/none`), "ENOENT");
  assert.equal(distrust(`${box.path}/file`), undefined);
});

const WRITABLE = [0o775, 0o757, 0o777];

for (const mode of WRITABLE) {
  Deno.test(`F3: openTrusted() refuses a directory of mode ${mode.toString(8)} and a file of its bits`, () => {
    using box = new Box();
    const file = box.file("open/below/c");
    Deno.chmodSync(`${box.path}/open`, mode);
    const message = `others than its owner may write to "${box.path}/open"`;
    assert.throws(() => openTrusted(file), { name: "UntrustedError", message });
    assert.equal(distrust(file), message);
    Deno.chmodSync(`${box.path}/open`, mode | 0o1000);
    assert.equal(distrust(file), undefined);
    Deno.chmodSync(file, mode | 0o1000);
    assert.equal(distrust(file), `others than its owner may write to "${file}"`);
  });
}

Deno.test({
  name: "F3: openTrusted() refuses directories, files and links of another user, wherever they lead",
  ignore: leftOutUnlessRoot(import.meta),
  fn() {
    using box = new Box();
    const file = box.file("etc/c");
    const theirs = box.file("theirs/below/c");
    Deno.chownSync(`${box.path}/theirs`, 65534, 65534);
    assert.equal(distrust(theirs), `"${box.path}/theirs" belongs to user 65534`);
    const planted = box.link("theirs/below/link", file);
    assert.equal(distrust(planted), `"${box.path}/theirs" belongs to user 65534`, "a link in a foreign directory");
    const own = box.link("own", file);
    assert.equal(distrust(own), undefined);
    new Deno.Command("chown", { args: ["-h", "65534", own] }).outputSync();
    assert.equal(distrust(own), `"${own}" belongs to user 65534`);
    Deno.chownSync(file, 65534, 0);
    assert.equal(distrust(file), `"${file}" belongs to user 65534`);
  },
});

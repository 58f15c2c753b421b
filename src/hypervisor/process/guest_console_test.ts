import assert from "node:assert/strict";
import { BoundedFile, GuestConsole } from "./guest_console.ts";

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

Deno.test("F10: GuestConsole keeps the last lines of any number, up to the writer's end", async () => {
  const { console, writer } = GuestConsole.open();
  for (let block = 0; block < 100; block++) {
    writer.writeAll(bytes(Array.from({ length: 1000 }, (_, line) => `line ${block * 1000 + line}\n`).join("")));
    await new Promise((resolve) => setTimeout(resolve, 0));
    while (block % 10 === 9 && !console.tail(1)[0]?.endsWith(`${block * 1000 + 999}`)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  writer.writeAll(bytes("last wor"));
  writer[Symbol.dispose]();
  await console.done;
  assert.deepEqual(console.tail(3), ["line 99998", "line 99999", "last wor"]);
  assert.equal(console.tail(1000).length, 100);
});

Deno.test("GuestConsole reads what is there when its VMM has ended, though somebody holds the console open", async () => {
  const { console, writer } = GuestConsole.open();
  using _held = writer.dup();
  for (let line = 0; line < 2000; line++) writer.writeAll(bytes(`${line}\n`));
  console[Symbol.dispose]();
  await console.done;
  assert.deepEqual(console.tail(1), ["1999"]);
  writer[Symbol.dispose]();
});

Deno.test("F10: GuestConsole reads on when its file cannot be written any more", async () => {
  const directory = Deno.makeTempDirSync();
  const { console, writer } = GuestConsole.open({ file: `${directory}/console.log` });
  Deno.removeSync(directory);
  writer.writeAll(bytes("first\n"));
  while (console.tail(1)[0] !== "first") await new Promise((resolve) => setTimeout(resolve, 5));
  writer.writeAll(bytes("second\n"));
  writer[Symbol.dispose]();
  await console.done;
  assert.deepEqual(console.tail(2), ["first", "second"]);
});

Deno.test("F10: BoundedFile never has more than it may, and keeps what came last", () => {
  const directory = Deno.makeTempDirSync();
  try {
    const path = `${directory}/console.log`;
    const file = new BoundedFile(path, 100);
    for (let n = 0; n < 50; n++) file.write(bytes(`word ${n}, `));
    file.write(new Uint8Array(1000));
    const sizes = [path, `${path}.1`].map((each) => Deno.statSync(each).size);
    assert.deepEqual([...Deno.readDirSync(directory)].length, 2);
    assert.ok(sizes.every((size) => size <= 100), `${sizes}`);
    assert.match(Deno.readTextFileSync(`${path}.1`), /word 49, $/);
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

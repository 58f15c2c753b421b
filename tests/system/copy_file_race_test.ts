/** CopyFile while a neighbour who can write to the directory exchanges names in it. */
import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { copyInto } from "../../src/agent/files/copy_file.ts";
import { parseCopy } from "../../src/agent/files/copy_request.ts";
import { CopyFileRequestSchema } from "../../src/proto/agent_pb.ts";
import { removeIfThere } from "../../src/base/files.ts";
import { swap } from "./swap.ts";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";

const ROUNDS = Number(Deno.env.get("KATA_TEST_SWAP_ROUNDS") ?? 500);
const { uid, gid } = Deno.statSync("/proc/self");
const encoder = new TextEncoder();

type Fields = MessageInitShape<typeof CopyFileRequestSchema>;

/** A volume with a victim in it that has a second name, which is not `f`. */
interface Area {
  volume: string;
  copy(fields: Fields): void;
  /** The name under which `f` gathers. */
  temporary: string;
}

async function withArea(use: (area: Area) => Promise<void>): Promise<void> {
  const root = Deno.makeTempDirSync({ prefix: "kata-copy-" });
  const volume = `${root}/v`;
  const copy = (fields: Fields) => {
    const defaults = { uid: uid!, gid: gid!, path: `${volume}/f` };
    copyInto(root, parseCopy(create(CopyFileRequestSchema, { ...defaults, ...fields }), root));
  };
  try {
    copy(piece("ab"));
    const temporary = [...Deno.readDirSync(volume)].find(({ name }) => name.endsWith(".kata-copy"))!.name;
    Deno.writeTextFileSync(`${volume}/victim`, "untouched", { mode: 0o600 });
    plant(volume);
    await use({ volume, copy, temporary: `${volume}/${temporary}` });
    assert.equal(Deno.readTextFileSync(`${volume}/victim`), "untouched");
    const victim = Deno.statSync(`${volume}/victim`);
    assert.deepEqual([victim.mode! & 0o7777, victim.uid], [0o600, uid]);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

function piece(text: string, offset = 0n): Fields {
  return { fileMode: 0o100777, fileSize: 4n, data: encoder.encode(text), offset };
}

/** Gives the victim its second name, again if the other side has removed it. */
function plant(volume: string): void {
  if (Deno.statSync(`${volume}/victim`).nlink !== 1) return;
  removeIfThere(`${volume}/planted`);
  Deno.linkSync(`${volume}/victim`, `${volume}/planted`);
}

/** @returns How many attempts came through. */
function attempt({ volume }: Area, once: () => void): number {
  let done = 0;
  for (let round = 0; round < ROUNDS; round++) {
    plant(volume);
    try {
      once();
      done++;
    } catch {
      // It met the neighbour.
    }
  }
  return done;
}

Deno.test("F17: copyInto() writes, and gives mode and owner, to what it has made, while names are exchanged", async () => {
  await withArea(async (area) => {
    const { volume, copy, temporary } = area;
    await using _swapping = await swap(temporary, `${volume}/planted`);
    const done = attempt(area, () => {
      copy(piece("ab"));
      copy(piece("cd", 2n));
    });
    assert.ok(done > 0);
  });
});

Deno.test({
  name: "F17: copyInto() gives an owner to the link that it has made, while names are exchanged",
  ignore: leftOutUnlessRoot(import.meta),
  fn: () =>
    withArea(async (area) => {
      const { volume, copy, temporary } = area;
      await using _swapping = await swap(temporary, `${volume}/planted`);
      const link = { fileMode: 0o120777, data: encoder.encode("target"), uid: 4242, gid: 4242 };
      assert.ok(attempt(area, () => copy(link)) > 0);
    }),
});

Deno.test.each(["d", "d/e", "d/e/f"])(
  "copyInto() never leaves the volume while %s is exchanged with a link (B8)",
  async (at) => {
    await withArea(async (area) => {
      const { volume, copy } = area;
      const outside = `${volume}-outside`;
      Deno.mkdirSync(`${outside}/e`, { recursive: true });
      Deno.writeTextFileSync(`${outside}/f`, "untouched");
      Deno.mkdirSync(`${volume}/d/e`, { recursive: true });
      Deno.writeTextFileSync(`${volume}/d/e/f`, "");
      Deno.symlinkSync(at.endsWith("f") ? `${outside}/f` : outside, `${volume}/l`);
      await using _swapping = await swap(`${volume}/${at}`, `${volume}/l`);
      const paths = [`${volume}/d/e/f`, `${volume}/d/e/new/f`, `${volume}/d/new`];
      let round = 0;
      const done = attempt(area, () => copy({ ...piece("abcd"), path: paths[round++ % paths.length]! }));
      assert.ok(done > 0);
      assert.deepEqual([...Deno.readDirSync(outside)].map(({ name }) => name).sort(), ["e", "f"]);
      assert.deepEqual([...Deno.readDirSync(`${outside}/e`)], []);
      assert.equal(Deno.readTextFileSync(`${outside}/f`), "untouched");
    });
  },
);

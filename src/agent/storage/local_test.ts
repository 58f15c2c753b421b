import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { StorageSchema } from "../../proto/agent_pb.ts";
import { attachLocal } from "./local.ts";

function attach(path: string): Disposable {
  const place = { base: path, links: "plain" } as const;
  return attachLocal(create(StorageSchema, { mountPoint: path }), { place, guard: () => place });
}

Deno.test("attachLocal() removes the directory that it made, with all in it", () => {
  const root = Deno.makeTempDirSync();
  const storage = attach(`${root}/made`);
  Deno.writeTextFileSync(`${root}/made/file`, "");
  storage[Symbol.dispose]();
  assert.deepEqual([...Deno.readDirSync(root)], []);
  Deno.removeSync(root);
});

Deno.test("attachLocal() leaves a directory that was there, and what is in it", () => {
  const root = Deno.makeTempDirSync();
  Deno.mkdirSync(`${root}/etc`);
  Deno.writeTextFileSync(`${root}/etc/passwd`, "root");
  attach(`${root}/etc`)[Symbol.dispose]();
  assert.equal(Deno.readTextFileSync(`${root}/etc/passwd`), "root");
  Deno.removeSync(root, { recursive: true });
});

import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { createLogger } from "../../base/log.ts";
import { StorageSchema } from "../../proto/agent_pb.ts";
import type { AttachedStorage } from "./handler.ts";
import { attachLocal } from "./local.ts";

const logged: string[] = [];
const log = createLogger({ sink: (line) => logged.push(line) });

async function attach(path: string, options: string[] = []): Promise<AttachedStorage> {
  const place = { base: path, links: "plain" } as const;
  return await attachLocal([create(StorageSchema, { mountPoint: path, options })], { place, guard: () => place, log });
}

function ownership(path: string): { mode: number; gid: number | null } {
  const { mode, gid } = Deno.statSync(path);
  return { mode: mode! & 0o7777, gid };
}

Deno.test("attachLocal() removes the directory that it made, with all in it", async () => {
  const root = Deno.makeTempDirSync();
  const storage = await attach(`${root}/made`);
  assert.equal(storage.path, `${root}/made`);
  Deno.writeTextFileSync(`${root}/made/file`, "");
  await storage[Symbol.asyncDispose]();
  assert.deepEqual([...Deno.readDirSync(root)], []);
  Deno.removeSync(root);
});

Deno.test("attachLocal() leaves a directory that was there, and what is in it", async () => {
  const root = Deno.makeTempDirSync();
  Deno.mkdirSync(`${root}/etc`);
  Deno.writeTextFileSync(`${root}/etc/passwd`, "root");
  await (await attach(`${root}/etc`))[Symbol.asyncDispose]();
  assert.equal(Deno.readTextFileSync(`${root}/etc/passwd`), "root");
  Deno.removeSync(root, { recursive: true });
});

Deno.test("attachLocal() gives the directory that it made to the group, with the mode that is asked for", async () => {
  const root = Deno.makeTempDirSync();
  await using _storage = await attach(`${root}/above/made`, ["mode=0770", "fsgid=4242"]);
  assert.deepEqual(ownership(`${root}/above/made`), { mode: 0o2770, gid: 4242 });
  assert.deepEqual(ownership(`${root}/above`), { mode: 0o755, gid: Deno.gid() });
});

Deno.test("F2: attachLocal() changes neither owner nor mode of a directory that was there, and says so", async () => {
  const root = Deno.makeTempDirSync();
  Deno.mkdirSync(`${root}/etc`, { mode: 0o755 });
  const before = ownership(`${root}/etc`);
  await (await attach(`${root}/etc`, ["mode=0777", "fsgid=4242"]))[Symbol.asyncDispose]();
  assert.deepEqual(ownership(`${root}/etc`), before);
  assert.match(logged.join(), /Left owner and mode of \S*etc/);
  Deno.removeSync(root, { recursive: true });
});

/** Our shim on an agent with the habits of Kata's own, over ttRPC. Needs root for mounts. */
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Fd, O_NONBLOCK, O_RDWR } from "../../src/linux/io/fd.ts";
import { NO_OPTIONS, OWN_NAMESPACES, Shim } from "./fake_shim.ts";
import { katasHabits } from "./katas_agent.ts";

const LINES = 200;
const OUTPUT = Array.from({ length: LINES }, (_, index) => `${index + 1}\n`).join("");

function katasShim(): Shim {
  return new Shim(katasHabits, { isKatas: true });
}

/** A fifo that is read to its end. The keeper lets it be opened before the shim writes. */
async function fifo(path: string): Promise<{ text: () => Promise<string> }> {
  await new Deno.Command("mkfifo", { args: [path] }).output();
  const keeper = Fd.open(path, O_RDWR | O_NONBLOCK);
  const file = await Deno.open(path);
  return {
    text: () => {
      keeper[Symbol.dispose]();
      return new Response(file.readable).text();
    },
  };
}

function execOf(args: readonly string[]) {
  const process = { args, cwd: "/", user: { uid: 0, gid: 0 } };
  const value = new TextEncoder().encode(JSON.stringify(process));
  return create(AnySchema, { typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process", value });
}

Deno.test("wire W3: all output of a container arrives from an agent that forgets a process once it was waited for", async () => {
  await using shim = katasShim();
  const stdout = `${shim.directory}/out`;
  const reader = await fifo(stdout);
  await shim.create(["lines", `${LINES}`], { stdout });
  await shim.start();
  assert.equal(await reader.text(), OUTPUT);
  assert.equal(await shim.wait(), 0);
});

Deno.test("wire W3: all output of an exec arrives from an agent that forgets a process once it was waited for", async () => {
  await using shim = katasShim();
  await shim.create(["sleep"]);
  await shim.start();
  const stdout = `${shim.directory}/out`;
  const reader = await fifo(stdout);
  await shim.tasks.exec({ ...NO_OPTIONS, id: "c1", execId: "e1", stdout, spec: execOf(["lines", `${LINES}`]) });
  await shim.start("e1");
  assert.equal(await reader.text(), OUTPUT);
  assert.equal(await shim.wait("e1"), 0);
});

Deno.test("wire W15: a container whose engine lists the usual devices is made by an agent that makes them itself", async () => {
  await using shim = katasShim();
  const devices = [["null", 3], ["zero", 5], ["full", 7], ["random", 8], ["urandom", 9]].map(([name, minor]) => ({
    path: `/dev/${name}`,
    type: "c",
    major: 1,
    minor,
    fileMode: 0o666,
  }));
  const tun = { path: "/dev/net/tun", type: "c", major: 10, minor: 200 };
  const linux = { namespaces: OWN_NAMESPACES, devices: [...devices, tun] };
  const process = { args: ["exit", "0"], cwd: "/", user: { uid: 0, gid: 0 } };
  const bundle = shim.bundle("bundle", { process, linux });
  await shim.tasks.create({ id: "c1", bundle, rootfs: [], ...NO_OPTIONS });
  assert.deepEqual(shim.agent.created[0]?.OCI?.Linux?.Devices.map(({ Path }) => Path), ["/dev/net/tun"]);
});

Deno.test("wire W16: the streams of an exec that does not start are closed before its error is told", async () => {
  await using shim = katasShim();
  await shim.create(["sleep"]);
  await shim.start();
  const stdout = `${shim.directory}/out`;
  const reader = await fifo(stdout);
  await shim.tasks.exec({ ...NO_OPTIONS, id: "c1", execId: "e1", stdout, spec: execOf(["fail"]) });
  await assert.rejects(shim.start("e1"));
  assert.equal(await reader.text(), "");
});

Deno.test("input of which an agent takes a part at a time arrives whole", async () => {
  await using shim = katasShim();
  const [stdin, stdout] = [`${shim.directory}/in`, `${shim.directory}/out`];
  const reader = await fifo(stdout);
  await new Deno.Command("mkfifo", { args: [stdin] }).output();
  await shim.create(["cat"], { stdin, stdout });
  await shim.start();
  const sent = "0123456789".repeat(6000);
  await Deno.writeTextFile(stdin, sent, { create: false });
  shim.tasks.closeIO({ id: "c1", execId: "", stdin: true });
  assert.equal(await reader.text(), sent);
});

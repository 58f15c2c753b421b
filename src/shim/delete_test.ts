import assert from "node:assert/strict";
import { createLogger } from "../base/log.ts";
import { startTime } from "../hypervisor/process/pid_file.ts";
import { makeFifo } from "../linux/io/fifo.ts";
import { parseShimArgs } from "./args.ts";
import { socketAddress } from "./bootstrap.ts";
import { deleteTask } from "./delete.ts";

const log = createLogger({ sink: () => {} });
const ARGS = parseShimArgs(["-namespace", "test", "-id", "abc", "-address", "/none/c.sock", "delete"]);
const SOCKET_NAME = (await socketAddress(ARGS)).split("/").at(-1)!;

/** Directories of a host, with a bundle and files that no shim made. */
class Host implements Disposable {
  readonly directory = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "kata-delete-" }));
  readonly bundle = `${this.directory}/bundle`;
  readonly victim = `${this.directory}/victim`;
  readonly roots = { run: `${this.directory}/run/kata`, shared: `${this.directory}/run/shared` };
  readonly #sockets: Deno.UnixListener[] = [];

  constructor() {
    for (const path of [this.bundle, `${this.victim}/precious/below`, this.roots.run, this.roots.shared]) {
      Deno.mkdirSync(path, { recursive: true });
    }
    Deno.writeTextFileSync(`${this.victim}/precious/below/file`, "precious");
  }

  /** A socket on which somebody listens. */
  socket(path: string): string {
    this.#sockets.push(Deno.listen({ transport: "unix", path }));
    return path;
  }

  async delete(
    { annotations = {}, address }: { annotations?: Record<string, string>; address?: string },
  ): Promise<void> {
    Deno.writeTextFileSync(`${this.bundle}/config.json`, JSON.stringify({ ociVersion: "1.2.0", annotations }));
    if (address !== undefined) Deno.writeTextFileSync(`${this.bundle}/address`, address);
    await deleteTask(ARGS, { bundle: this.bundle, log, roots: this.roots });
  }

  files(): string[] {
    return [...Deno.readDirSync(this.victim)].map(({ name }) => name).sort();
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.close();
    Deno.removeSync(this.directory, { recursive: true });
  }
}

Deno.test.each([
  { type: "io.kubernetes.cri.container-type", key: "io.kubernetes.cri.sandbox-id" },
  { type: "io.kubernetes.cri-o.ContainerType", key: "io.kubernetes.cri-o.SandboxID" },
  { type: "io.kubernetes.docker.type", key: "io.kubernetes.sandbox.id" },
])("F5: deleteTask() removes nothing that $key leads to", async ({ type, key }) => {
  using host = new Host();
  for (const id of ["../../victim/precious", "../../victim", "../..", "..", ".", "./../../victim/precious/below"]) {
    await host.delete({ annotations: { [type]: "container", [key]: id } });
    assert.equal(Deno.readTextFileSync(`${host.victim}/precious/below/file`), "precious", id);
  }
});

Deno.test("F5: deleteTask() removes no file that the bundle's address names", async () => {
  using host = new Host();
  const { victim } = host;
  host.socket(`${victim}/other.sock`);
  Deno.writeTextFileSync(`${victim}/${SOCKET_NAME}`, "no socket");
  for (const name of ["precious/below/file", "other.sock", SOCKET_NAME, `precious/../${SOCKET_NAME}`]) {
    await host.delete({ address: `unix://${victim}/${name}` });
    await host.delete({ address: `unix://${victim}/${name}\n` });
  }
  assert.deepEqual(host.files(), [SOCKET_NAME, "other.sock", "precious"].sort());
  assert.equal(Deno.readTextFileSync(`${victim}/precious/below/file`), "precious");
});

Deno.test("F5: deleteTask() removes no file that a state in its sandbox's directory names", async () => {
  using host = new Host();
  const runDir = `${host.roots.run}/${ARGS.id}`;
  Deno.mkdirSync(runDir);
  const address = `unix://${host.victim}/precious/below/file`;
  Deno.writeTextFileSync(`${runDir}/state.json`, JSON.stringify({ id: ARGS.id, address, cgroups: [] }));
  await host.delete({});
  assert.equal(Deno.readTextFileSync(`${host.victim}/precious/below/file`), "precious");
  assert.deepEqual([...Deno.readDirSync(host.roots.run)], []);
});

Deno.test("F5: deleteTask() ends no process that others than root could have recorded", async () => {
  using host = new Host();
  const runDir = `${host.roots.run}/${ARGS.id}`;
  Deno.mkdirSync(runDir);
  await using victim = new Deno.Command("sleep", { args: ["1000"] }).spawn();
  const shim = { pid: victim.pid, startTime: startTime(victim.pid) };
  Deno.writeTextFileSync(`${runDir}/state.json`, JSON.stringify({ id: ARGS.id, shim, cgroups: [] }));
  Deno.chmodSync(host.roots.run, 0o777);
  await assert.rejects(host.delete({}), {
    code: "PERMISSION_DENIED",
    message: `Cannot keep a sandbox in "${runDir}": others than its owner may write to "${host.roots.run}"`,
  });
  assert.equal(startTime(victim.pid), shim.startTime, "it was ended");
  assert.ok(Deno.statSync(runDir).isDirectory);
  if (Deno.uid() === 0) {
    Deno.chmodSync(host.roots.run, 0o1777);
    Deno.chownSync(runDir, 65534, 65534);
    const message = `Cannot keep a sandbox in "${runDir}": "${runDir}" belongs to user 65534`;
    await assert.rejects(host.delete({}), { code: "PERMISSION_DENIED", message });
    assert.equal(startTime(victim.pid), shim.startTime, "it was ended");
  }
  victim.kill();
});

Deno.test("F5, F17: deleteTask() waits for no writer of a fifo in the bundle, and reads no file without end", async () => {
  for (const make of [fifo, zero]) {
    using host = new Host();
    make(`${host.bundle}/address`);
    await host.delete({});
    Deno.removeSync(`${host.bundle}/config.json`);
    make(`${host.bundle}/config.json`);
    await deleteTask(ARGS, { bundle: host.bundle, log, roots: host.roots });
  }
});

function fifo(path: string): void {
  makeFifo(path, 0o600);
}

function zero(path: string): void {
  Deno.symlinkSync("/dev/zero", path);
}

Deno.test("deleteTask() removes the shim's own socket, wherever containerd has its directory", async () => {
  using host = new Host();
  const path = host.socket(`${host.directory}/${SOCKET_NAME}`);
  await host.delete({ address: `unix://${path}` });
  assert.throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
});

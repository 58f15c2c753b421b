/**
 * A monitor without a machine: it takes QEMU's command line, speaks QEMU's protocol on the socket named there, and lets a
 * guest that boots at once give up devices. The word `fake.guest` of the kernel's command line is the guest's habit.
 */
import { Socket } from "node:net";

const args = Deno.args;

/** The value of an option such as `path` in the arguments of the switch that holds all of `marks`. */
function option(name: string, ...marks: string[]): string | undefined {
  const value = args.find((arg) => marks.every((mark) => arg.includes(mark)));
  return value?.split(",").find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** The connection that was inherited for a character device. */
function inherited(id: string): Socket {
  return new Socket({ fd: Number(option("fd", `id=${id}`)), readable: true, writable: true });
}

const guestConsole = inherited("console");
guestConsole.write("guest ready\n");
const memory = option("mem-path", "memory-backend-file");
if (memory !== undefined && !memory.startsWith("/proc/")) Deno.writeTextFileSync(memory, "memory of the guest");
const client = inherited("qmp");
const nodes = new Set<string>();
const devices = new Map<string, { drive?: string }>();
let fdSets = 0;

function say(message: unknown): void {
  client.write(`${JSON.stringify(message)}\r\n`);
}

async function end(reason: string): Promise<never> {
  say({ event: "SHUTDOWN", data: { guest: reason.startsWith("guest"), reason } });
  await new Promise((resolve) => setTimeout(resolve, 20));
  Deno.exit(0);
}

/** Acts as the guest that `-append` asks for, once a client of QMP is there. */
function bootGuest(): void {
  const append = args[args.indexOf("-append") + 1]!;
  if (append.includes("powers off")) void end("guest-shutdown");
  if (!append.includes("panics")) return;
  const panic = "[    1.0] Kernel panic - not syncing: No working init found.\n";
  guestConsole.write(panic);
  void end("guest-reset");
}

/** In QEMU's words. */
class Refusal extends Error {}

type Arguments = Record<string, string>;

const COMMANDS: Record<string, (args: Arguments) => unknown> = {
  qmp_capabilities: () => setTimeout(bootGuest, 20) && {},
  stop: () => say({ event: "STOP" }),
  cont: () => say({ event: "RESUME" }),
  "migrate-set-capabilities": () => {},
  getfd: () => {},
  "add-fd": () => ({ "fdset-id": ++fdSets, fd: 100 }),
  "remove-fd": () => {},
  migrate: () => say({ event: "MIGRATION", data: { status: "completed" } }),
  "migrate-incoming": () => {
    if (!args.includes("-incoming")) throw new Refusal("'-incoming' was not specified on the command line");
    say({ event: "MIGRATION", data: { status: "setup" } });
    say({ event: "MIGRATION", data: { status: "completed" } });
  },
  quit: () => void end("host-qmp-quit"),
  // The second is none of its threads: a monitor that a guest has taken over may name any.
  "query-cpus-fast": () => [{ "cpu-index": 0, "thread-id": Deno.pid }, { "cpu-index": 1, "thread-id": 1 }],
  "query-hotpluggable-cpus": () => [{ type: "fake-cpu", props: { "socket-id": 1 } }],
  "object-add": () => {},
  "blockdev-add": (node) => void nodes.add(node["node-name"]!),
  "blockdev-del": ({ "node-name": name }) => {
    if ([...devices.values()].some(({ drive }) => drive === name)) throw new Refusal(`Node ${name} is in use`);
    if (!nodes.delete(name!)) throw new Refusal(`Cannot find node '${name}'`);
  },
  device_add: (device) => void devices.set(device.id!, device),
  device_del: ({ id }) => {
    if (!devices.has(id!)) throw new Refusal(`Device '${id}' not found`);
    setTimeout(() => {
      devices.delete(id!);
      say({ event: "DEVICE_DELETED", data: { path: `/machine/peripheral/${id}/virtio-backend` } });
      say({ event: "DEVICE_DELETED", data: { device: id, path: `/machine/peripheral/${id}` } });
    }, 20);
  },
};

function answer(line: string): void {
  const { execute, arguments: given = {}, id } = JSON.parse(line);
  try {
    const command = COMMANDS[execute];
    if (command === undefined) throw new Refusal(`The command ${execute} has not been found`);
    say({ return: command(given) ?? {}, id });
  } catch (error) {
    say({ error: { class: "GenericError", desc: (error as Error).message }, id });
  }
}

say({ QMP: { version: {}, capabilities: [] } });
client.on("close", () => Deno.exit(0));
let rest = "";
for await (const chunk of client.setEncoding("utf8")) {
  const lines = (rest + chunk).split("\n");
  rest = lines.pop() ?? "";
  lines.filter((line) => line !== "").forEach(answer);
}

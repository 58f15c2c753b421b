/**
 * A machine as an operator would put it beside a pod's by hand, to tell what our software adds to the network's path:
 * the same emulator, machine type, firmware, CPU, memory, kernel and kernel parameters; the same card on a tap, joined by
 * `ip` and `tc` (u32 filters both ways) to a veth of the same bridge with the same MTU; in the pod's own cgroups, so that
 * the host shares its processors out alike. It has no other device, no agent and no containers: busybox is its init.
 *
 * @module
 */
import { detectCgroups, joinCgroup, parseCgroupMembership } from "../src/linux/cgroup/cgroup.ts";
import { processesOf } from "../tests/interop/host.ts";
import type { Pod, PodContainer } from "../tests/interop/pod.ts";
import { BRIDGE, GATEWAY } from "../tests/interop/pod_settings.ts";
import { type CpioEntry, packCpio } from "./guest/cpio.ts";

const GUEST = Deno.env.get("KATA_GUEST") ?? new URL("../dist/guest", import.meta.url).pathname;
const MTU = "1400";
/** Host part of the first machine's address: the pods' network gives away the low ones. */
const FIRST_ADDRESS = 240;

/** Names that one of several such machines is called by. */
function names(number: number) {
  return {
    netns: `kata-hand${number}`,
    link: `kata-hand${number}`,
    mac: `02:00:00:00:0a:${(FIRST_ADDRESS + number).toString(16)}`,
    address: GATEWAY.inet.replace(/\d+$/, String(FIRST_ADDRESS + number)),
  };
}

async function run(...[command, ...args]: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command!, { args: [...args], stdin: "null" }).output();
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/**
 * Namespaces for so many machines; with them go the links. Make them before any pod: `ip` lays a mount over their
 * directory, under which the pods' could not be removed.
 */
export async function handNetns(count: number): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  for (let number = 0; number < count; number++) {
    const { netns } = names(number);
    await run("ip", "netns", "add", netns);
    undo.defer(async () => void await run("ip", "netns", "delete", netns));
  }
  return undo.move();
}

export interface HandOptions {
  /** From 0, each in a namespace of {@linkcode handNetns}. */
  number: number;
  /** Whose machine it is like, and a container there. */
  pod: Pod;
  container: PodContainer;
  /** Lines of shell that init starts. */
  servers: readonly string[];
  /** For files that go when all is over. */
  directory: string;
}

/** Disposing it ends it. */
export interface HandMachine extends AsyncDisposable {
  readonly address: string;
}

/** Wires a machine and starts it; its servers listen some seconds later. */
export async function startByHand(options: HandOptions): Promise<HandMachine> {
  const { netns, mac, address } = names(options.number);
  await wire(options.number);
  const [pid] = processesOf("qemu-system", options.pod.id);
  const rest = `-nodefaults -no-user-config -display none -no-reboot -kernel ${GUEST}/vmlinux
    -initrd ${await makeInitrd(options)} -netdev tap,id=n0,ifname=tap0,script=no,downscript=no
    -device virtio-net-pci,netdev=n0,mac=${mac},romfile=`;
  const args = ["netns", "exec", netns, ...await sameMachine(pid!, options.container), ...rest.split(/\s+/)];
  const child = new Deno.Command("ip", { args, stdin: "null", stdout: "null", stderr: "inherit" }).spawn();
  joinCgroups(child.pid, pid!);
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

/** A link of the bridge, a tap, and what joins them. */
async function wire(number: number): Promise<void> {
  const { netns, link, mac } = names(number);
  await run("ip", "link", "add", link, ..."type veth peer name eth0 netns".split(" "), netns);
  await run("ip", "link", "set", link, "mtu", MTU, "master", BRIDGE, "up");
  const inside = [
    `ip link set eth0 mtu ${MTU} up`,
    "ip tuntap add tap0 mode tap",
    `ip link set tap0 mtu ${MTU} up`,
    ...[["eth0", "tap0"], ["tap0", "eth0"]].flatMap(([from, to]) => [
      `tc qdisc add dev ${from} ingress`,
      `tc filter add dev ${from} parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev ${to}`,
    ]),
    `ip link set eth0 address ${mac}`,
  ];
  for (const line of inside) await run("ip", "netns", "exec", netns, ...line.split(" "));
}

/** Arguments of the pod's machine and its kernel, without disks and agent. */
async function sameMachine(pid: number, container: PodContainer): Promise<string[]> {
  const given = Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
  const switches = ["-machine", "-accel", "-cpu", "-smp", "-m", "-rtc", "-bios"].filter((name) => given.includes(name));
  const machine = switches.flatMap((name) => [name, given[given.indexOf(name) + 1]!]);
  const memory = given.find((word) => word.includes("id=mem,"))!;
  const words = (await container.exec("cat /proc/cmdline")).trim().split(" ");
  const append = words.filter((word) => !/^(root|rootfstype|agent\.|ro$)/.test(word)).join(" ");
  return [given[0]!, ...machine, "-object", memory, "-append", append];
}

/** An initramfs of busybox, our guest's modules and a script. */
async function makeInitrd({ directory, number, servers }: HandOptions): Promise<string> {
  const listed = await run("sh", "-c", `busybox cpio -t --quiet <${GUEST}/initrd.cpio`);
  await run("sh", "-c", `cd ${directory} && busybox cpio -idmu --quiet <${GUEST}/initrd.cpio 'modules/*'`);
  // In the order in which our own init loads them.
  const modules = listed.split("\n").filter((path) => path.startsWith("modules/"));
  const init = ["#!/bin/busybox sh", "/bin/busybox --install /bin", "mount -t devtmpfs dev /dev"]
    .concat(modules.map((path) => `insmod /${path}`))
    .concat([`ip link set eth0 mtu ${MTU} up`, `ip address add ${names(number).address}/24 dev eth0`])
    .concat([...servers, "wait"]);
  const file = (path: string, data: Uint8Array): CpioEntry => ({ kind: "file", path, mode: 0o755, data });
  const packed = packCpio([
    ...["dev", "bin", "modules"].map((path): CpioEntry => ({ kind: "directory", path, mode: 0o755 })),
    { kind: "character device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    file("bin/busybox", await Deno.readFile("/bin/busybox")),
    file("init", new TextEncoder().encode(`${init.join("\n")}\n`)),
    ...modules.map((path) => file(path, Deno.readFileSync(`${directory}/${path}`))),
  ]);
  const path = `${directory}/hand${number}.cpio`;
  await Deno.writeFile(path, packed);
  return path;
}

/** Puts a process where another one is, in each hierarchy of cgroups that this machine has mounted. */
function joinCgroups(pid: number, other: number): void {
  const { root, unified = root, v1 } = detectCgroups();
  for (
    const { controllers: [name = ""], path } of parseCgroupMembership(Deno.readTextFileSync(`/proc/${other}/cgroup`))
  ) {
    const mounted = name === "" ? unified : v1.get(name.replace(/^name=/, ""));
    if (mounted !== undefined) joinCgroup(`${mounted}${path}`, pid);
  }
}

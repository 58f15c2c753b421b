/**
 * What a pod's network path costs beside the same path made by hand: a guest with the same kernel and the same busybox,
 * under QEMU with a tap, joined by `ip` and `tc` to a link of the same bridge. Both are measured from the host, in turns.
 *
 * Usage: bench_net.ts [ROUNDS]     called by scripts/bench; needs root, containerd with CNI plugins, QEMU, busybox
 *
 * @module
 */
import { processesOf, until } from "../tests/interop/host.ts";
import { type Pod, type PodContainer, PodNode } from "../tests/interop/pod.ts";
import { BRIDGE, GATEWAY } from "../tests/interop/pod_settings.ts";
import { type CpioEntry, packCpio } from "./guest/cpio.ts";
import { median, print } from "./bench_report.ts";

const REPO = new URL("../", import.meta.url).pathname;
const GUEST = Deno.env.get("KATA_GUEST") ?? `${REPO}dist/guest`;
const ROUNDS = Number(Deno.args[0] ?? 10);
const MIB = 2 ** 20;
const SENT_MIB = 64;
const PINGS = 200;
const MTU = "1400";
/** Takes what it gets; gives SENT_MIB; gives back what it gets. */
const PORTS = { sink: 5001, source: 5002, echo: 5003 } as const;
const SERVERS = [
  `nc -ll -p ${PORTS.sink} -e dd of=/dev/null bs=64k 2>/dev/null &`,
  `nc -ll -p ${PORTS.source} -e dd if=/dev/zero bs=64k count=${SENT_MIB * 16} 2>/dev/null &`,
  `nc -ll -p ${PORTS.echo} -e cat &`,
];

/** The last address of the pods' network, which is far from being given away. */
const HAND = { address: GATEWAY.inet.replace(/\d+$/, "250"), netns: "kata-hand", mac: "02:00:00:00:0a:fe" };

async function run(...[command, ...args]: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command!, { args: [...args], stdin: "null" }).output();
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** An initramfs of busybox, our guest's modules and a script. */
async function makeInitrd(directory: string): Promise<string> {
  await run("sh", "-c", `cd ${directory} && busybox cpio -idmu --quiet <${GUEST}/initrd.cpio 'modules/*'`);
  const listed = await run("sh", "-c", `busybox cpio -t --quiet <${GUEST}/initrd.cpio`);
  // In the order in which our own init loads them.
  const modules = listed.split("\n").filter((path) => path.startsWith("modules/"));
  const init = ["#!/bin/busybox sh", "/bin/busybox --install /bin", "mount -t devtmpfs dev /dev"]
    .concat(modules.map((path) => `insmod /${path}`))
    .concat([`ip link set eth0 mtu ${MTU} up`, `ip address add ${HAND.address}/24 dev eth0`, ...SERVERS, "wait"]);
  const file = (path: string, data: Uint8Array): CpioEntry => ({ kind: "file", path, mode: 0o755, data });
  const packed = packCpio([
    ...["dev", "bin", "modules"].map((path): CpioEntry => ({ kind: "directory", path, mode: 0o755 })),
    { kind: "character device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    file("bin/busybox", await Deno.readFile("/bin/busybox")),
    file("init", new TextEncoder().encode(`${init.join("\n")}\n`)),
    ...modules.map((path) => file(path, Deno.readFileSync(`${directory}/${path}`))),
  ]);
  await Deno.writeFile(`${directory}/initrd.cpio`, packed);
  return `${directory}/initrd.cpio`;
}

/** Before there is any other: `ip` lays a mount over their directory, under which the pods' could not be removed. */
async function makeNetns(): Promise<AsyncDisposable> {
  await run("ip", "netns", "add", HAND.netns);
  return { [Symbol.asyncDispose]: async () => void await run("ip", "netns", "delete", HAND.netns) };
}

/** A link of the bridge, a tap, and what joins them; all goes with the namespace. */
async function wireByHand(): Promise<void> {
  const { netns, mac } = HAND;
  await run(..."ip link add kata-hand0 type veth peer name eth0 netns".split(" "), netns);
  await run("ip", "link", "set", "kata-hand0", "mtu", MTU, "master", BRIDGE, "up");
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

/** What the pod's machine and its kernel were told, without disks and agent: the machine by hand is the same. */
async function sameMachine(pod: Pod, container: PodContainer): Promise<{ machine: string[]; append: string }> {
  const [pid] = processesOf("qemu-system", pod.id);
  const given = Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
  const switches = ["-machine", "-accel", "-cpu", "-smp", "-m", "-bios"].filter((name) => given.includes(name));
  const machine = switches.flatMap((name) => [name, given[given.indexOf(name) + 1]!]);
  const memory = given.find((word) => word.includes("id=mem,"))!;
  const words = (await container.exec("cat /proc/cmdline")).trim().split(" ");
  const append = words.filter((word) => !/^(root|rootfstype|agent\.|ro$)/.test(word)).join(" ");
  return { machine: [given[0]!, ...machine, "-object", memory], append };
}

function startByHand(initrd: string, { machine, append }: { machine: string[]; append: string }): AsyncDisposable {
  const { netns, mac } = HAND;
  const rest = `-nodefaults -no-user-config -display none -no-reboot -kernel ${GUEST}/vmlinux -initrd ${initrd}
    -netdev tap,id=n0,ifname=tap0,script=no,downscript=no -device virtio-net-pci,netdev=n0,mac=${mac},romfile=`;
  const args = ["netns", "exec", netns, ...machine, ...rest.split(/\s+/), "-append", append];
  const child = new Deno.Command("ip", { args, stdin: "null", stdout: "null", stderr: "inherit" }).spawn();
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

async function connected(hostname: string, port: number): Promise<Deno.TcpConn> {
  let connection: Deno.TcpConn | undefined;
  const connect = async () => {
    connection = await Deno.connect({ hostname, port }).catch(() => undefined);
    return connection !== undefined;
  };
  await until(connect, { ms: 60_000 });
  return connection!;
}

/** Bytes per second into the guest, until it has taken the last. */
async function sendRate(hostname: string): Promise<number> {
  using connection = await connected(hostname, PORTS.sink);
  const block = new Uint8Array(MIB);
  const begin = performance.now();
  for (let sent = 0; sent < SENT_MIB; sent++) {
    for (let rest = block; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
  }
  await connection.closeWrite();
  await connection.read(block);
  return SENT_MIB * MIB * 1000 / (performance.now() - begin);
}

async function receiveRate(hostname: string): Promise<number> {
  using connection = await connected(hostname, PORTS.source);
  const block = new Uint8Array(MIB);
  const begin = performance.now();
  let received = 0;
  for (let count; (count = await connection.read(block)) !== null;) received += count;
  if (received !== SENT_MIB * MIB) throw new Error(`Cannot measure: ${received} bytes came`);
  return received * 1000 / (performance.now() - begin);
}

/** Milliseconds until a byte is back, the median. */
async function roundTrip(hostname: string): Promise<number> {
  using connection = await connected(hostname, PORTS.echo);
  connection.setNoDelay();
  const byte = new Uint8Array(1);
  const times: number[] = [];
  for (let ping = 0; ping < PINGS; ping++) {
    const begin = performance.now();
    await connection.write(byte);
    await connection.read(byte);
    times.push(performance.now() - begin);
  }
  return median(times);
}

const MEASURES = [
  { what: "into the guest, MB/s", measure: sendRate, best: Math.max, shown: inMegabytes },
  { what: "out of the guest, MB/s", measure: receiveRate, best: Math.max, shown: inMegabytes },
  { what: "a byte there and back, ms", measure: roundTrip, best: Math.min, shown: (ms: number) => ms.toFixed(2) },
];

function inMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

/** The best of all rounds is the least disturbed one; in the first the emulator translates the guest's code. */
async function measureBoth(addresses: Record<"pod" | "hand", string>): Promise<void> {
  for (const { what, measure, best, shown } of MEASURES) {
    const taken = { pod: [] as number[], hand: [] as number[] };
    for (let round = 0; round <= ROUNDS; round++) {
      for (const name of ["pod", "hand"] as const) taken[name].push(await measure(addresses[name]));
    }
    const [pod, hand] = [best(...taken.pod), best(...taken.hand)];
    const ratio = best === Math.max ? pod / hand : hand / pod;
    const line = `  ${what.padEnd(28)} pod ${shown(pod).padStart(6)}   by hand ${shown(hand).padStart(6)}`;
    print(`${line}   ratio ${ratio.toFixed(2)}   (goal: at least 0.9)`);
  }
}

if (import.meta.main) {
  const directory = await Deno.makeTempDir({ prefix: "kata-bench-" });
  try {
    const initrd = await makeInitrd(directory);
    await using _netns = await makeNetns();
    await using node = await PodNode.start();
    // Engines give a pod that asks for nothing next to no share of a busy processor.
    await using pod = await node.pod("pod", { linux: { resources: { cpu_shares: 1024 } } });
    const container = await pod.run("servers", [...SERVERS, "wait"].join("\n"));
    await wireByHand();
    await using _machine = startByHand(initrd, await sameMachine(pod, container));
    const [address = ""] = await pod.addresses();
    await measureBoth({ pod: address, hand: HAND.address });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

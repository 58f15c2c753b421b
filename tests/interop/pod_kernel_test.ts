/**
 * The kernel of a pod beside that of a usual node: packet filters, links, queues, file systems, loaded when somebody asks who
 * may. See `pod.ts`. Programs are the host's own, by a volume. runc is not beside it: it has the host's kernel, which on the
 * machines that run these tests has neither modules nor netfilter.
 */
import assert from "node:assert/strict";
import { type Pod, type PodContainer, pods, SLEEP } from "./pod.ts";
import type { Message } from "./cri.ts";

const TOOLS = "localhost/tools:1";
/** Runs a script by the host's programs: busybox's shell takes its own, and `/usr/sbin/ip` is a link to `/bin/ip`. */
function withHost(script: string): string {
  return `PATH=/usr/bin:/usr/sbin:/bin exec dash <<'END'\n${script}\nEND\n`;
}

/** An image without programs but busybox; the host's `/usr` is a volume. */
const TOOLS_IMAGE = {
  name: TOOLS,
  plant: async (root: string) => {
    for (const name of ["lib", "lib64", "sbin"]) await Deno.symlink(`usr/${name}`, `${root}/${name}`);
    for (const name of ["usr", "run", "var", "mnt"]) await Deno.mkdir(`${root}/${name}`);
  },
};

interface Rights {
  capabilities?: readonly string[];
  privileged?: boolean;
}

/** A container with the host's programs. */
async function withTools(pod: Pod, name: string, { capabilities = [], privileged = false }: Rights = {}) {
  const security_context: Message = { privileged, capabilities: { add_capabilities: capabilities } };
  return await pod.run(name, SLEEP, {
    image: { image: TOOLS },
    mounts: [{ host_path: "/usr", container_path: "/usr", readonly: true }],
    linux: { security_context },
  });
}

/** Runs lines one after the other, and says which failed. */
async function all(container: PodContainer, lines: readonly string[]): Promise<string> {
  const script = lines.map((line) =>
    `{ ${line}; } || { echo "FAILED: ${line.replaceAll(/["$`\\]/g, "\\$&")}"; exit 1; }`
  );
  return await container.exec(withHost(script.join("\n")));
}

async function modulesOf(container: PodContainer): Promise<string[]> {
  return (await container.exec("cut -d' ' -f1 /proc/modules | sort")).trim().split("\n");
}

/**
 * Rules of a mesh's init container (all traffic of its pod but the proxy's own goes through the proxy), and those that Docker
 * and kube-proxy make besides.
 *
 * @param set Name of a set of addresses.
 */
function rules({ set, reject }: { set: string; reject: string }): string {
  return `*nat
:ISTIO_INBOUND - [0:0]
:ISTIO_REDIRECT - [0:0]
:ISTIO_OUTPUT - [0:0]
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
-A ISTIO_INBOUND -p tcp -m multiport ! --dports 15008,15020 -j ISTIO_REDIRECT
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN
-A OUTPUT -p tcp -j ISTIO_OUTPUT
-A POSTROUTING -m mark --mark 0x4000 -j MASQUERADE --random-fully
-A PREROUTING -p tcp --dport 8 -j DNAT --to-destination :80
COMMIT
*mangle
-A PREROUTING -p tcp -m mark --mark 0x539 -j CONNMARK --save-mark
-A PREROUTING -p tcp -m socket --transparent -j RETURN
-A PREROUTING -p tcp --dport 7 -j TPROXY --on-port 15006 --tproxy-mark 0x539/0xffffffff
-A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
*raw
-A OUTPUT -p udp --dport 53 -j CT --zone 1
COMMIT
*filter
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m addrtype --dst-type LOCAL -m comment --comment docker -j ACCEPT
-A INPUT -p tcp -m limit --limit 5/min -j LOG
-A INPUT -p tcp -m statistic --mode random --probability 0.5 -j ACCEPT
-A INPUT -p tcp -m recent --name x --set -j ACCEPT
-A INPUT -p tcp -m set --match-set ${set} src -j DROP
-A INPUT -p tcp --dport 9 -j REJECT --reject-with ${reject}
COMMIT
`;
}

/** Makes the rules by one kind of programs, and looks whether the kernel has them: `legacy` or `nft`. */
async function filters(container: PodContainer, kind: string): Promise<void> {
  for (
    const [name, family, reject] of [["ip", "inet", "icmp-port-unreachable"], [
      "ip6",
      "inet6",
      "icmp6-port-unreachable",
    ]]
  ) {
    const set = `${name}-${kind}`;
    const program = `${name}tables-${kind}`;
    await container.exec(withHost(`set -e
ipset create ${set} hash:ip family ${family}
${program} -t nat -L >/dev/null
${program}-restore -w <<'RULES'
${rules({ set, reject: reject! })}RULES
${program}-save | grep -q TPROXY`));
  }
}

const LINKS = [
  "ip link add d0 type dummy",
  "ip link set d0 up",
  "ip addr add 192.0.2.1/24 dev d0",
  "ip link add link d0 name d0.5 type vlan id 5",
  "ip link add mv0 link d0 type macvlan mode bridge",
  "ip link add iv0 link d0.5 type ipvlan mode l2",
  "ip link add vx0 type vxlan id 3 remote 192.0.2.2 dstport 4789 dev d0",
  "ip link add gv0 type geneve id 3 remote 192.0.2.2",
  "ip link add wg0 type wireguard",
  "ip link add ip0 type ipip remote 192.0.2.2 local 192.0.2.1",
  "ip link add gre0a type gre remote 192.0.2.3 local 192.0.2.1",
  "ip link add sit0a type sit remote 192.0.2.4 local 192.0.2.1",
  "ip link add ve0 type veth peer name ve1",
  "ip link add br0 type bridge",
  "ip link set ve1 master br0",
  "ip link add bo0 type bond",
  "ip link add vrf0 type vrf table 10",
  "ip link add ifb9 type ifb",
  "ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 mode tunnel aead 'rfc4106(gcm(aes))' 0x0123456789012345678901234567890123456789 128",
];

const QUEUES = [
  ...["netem delay 1ms", "tbf rate 1mbit burst 32k latency 400ms", "htb default 1", "fq_codel", "fq", "sfq", "prio"]
    .map((kind) => `tc qdisc replace dev d0 root ${kind} && tc qdisc del dev d0 root`),
  "tc qdisc add dev d0 ingress",
  "tc filter add dev d0 parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev ifb9",
  "tc filter add dev d0 parent ffff: protocol ip prio 9 flower ip_proto tcp action police rate 1mbit burst 10k drop",
];

const DEVICES = [
  "truncate -s 16M /tmp/ext4.img && mkfs.ext4 -q /tmp/ext4.img",
  "truncate -s 320M /tmp/xfs.img && mkfs.xfs -q /tmp/xfs.img",
  "mkdir -p /tmp/files && echo here >/tmp/files/file && mksquashfs /tmp/files /tmp/squashfs.img -quiet -no-progress",
  ...["ext4", "xfs", "squashfs"].flatMap((type) => [
    `mkdir -p /mnt/${type}`,
    `mount -o loop -t ${type} /tmp/${type}.img /mnt/${type}`,
    `grep -q " /mnt/${type} ${type} " /proc/mounts`,
    `umount /mnt/${type}`,
  ]),
  "mkdir -p /tmp/u /tmp/w /mnt/o && mount -t tmpfs none /tmp/u && mkdir /tmp/u/u /tmp/u/w",
  "mount -t overlay -o lowerdir=/tmp/files,upperdir=/tmp/u/u,workdir=/tmp/u/w none /mnt/o && cat /mnt/o/file",
  'perl -e \'open(F, "+<", "/dev/fuse") or die $!\'',
];

/** Names that the kernel takes from anybody: of a family of sockets, of a protocol, of a kind of diagnosis. */
const ASKING = [
  "perl -e 'socket(S, 2, 1, 132)'", // SCTP
  "perl -e 'socket(S, $_, 2, 0) for 1..44'",
  "perl -e 'socket(S, 16, 3, $_) for 0..22'",
  "ss -x",
  "ss -tu",
  "ip link add none type wireguard",
  "mount -t squashfs /dev/null /mnt",
  ...["link add d0 type dummy", "tuntap add tu0 mode tun"].map((what) =>
    `unshare --user --map-root-user --net ip ${what}`
  ),
  "unshare --user --map-root-user --net iptables-legacy -t nat -L",
  "unshare --user --map-root-user --net iptables-nft -t nat -L",
  "unshare --user --map-root-user --net tc qdisc add dev lo root netem delay 1ms",
  "unshare --user --map-root-user --mount /usr/bin/mount -t squashfs /dev/null /mnt",
  "cat /dev/net/tun /dev/loop-control",
  "echo /bin/true >/proc/sys/kernel/modprobe",
];

async function asksInVain(container: PodContainer): Promise<void> {
  const before = await modulesOf(container);
  await container.exec(withHost("unshare --user --map-root-user --net ip link show lo")); // it can have rights of its own
  await container.exec(withHost([...ASKING.map((line) => `${line} >/dev/null 2>&1`), "true"].join("\n")));
  assert.deepEqual(await modulesOf(container), before);
}

pods(
  "pods A13: a container that may gets of its kernel what it would of a node's, by no more than asking; a plain one nothing",
  async (node, test) => {
    await node.containerd.import(TOOLS_IMAGE);
    await using pod = await node.pod("pod", { linux: { security_context: { privileged: true } } });
    const plain = await withTools(pod, "plain");
    const start = await modulesOf(plain);
    await test.step("nothing is loaded at a start that does not use it", () => {
      const unused = ["x_tables", "nf_tables", "loop", "tun", "bridge"];
      assert.deepEqual(start.filter((name) => unused.includes(name)), []);
    });
    await test.step("a plain container makes the kernel load nothing", () => asksInVain(plain));

    const mesh = await withTools(pod, "mesh", { capabilities: ["NET_ADMIN", "NET_RAW"] });
    for (const kind of ["legacy", "nft"]) {
      await test.step(`iptables-${kind} of a mesh's init container, with NET_ADMIN alone`, () => filters(mesh, kind));
    }
    await test.step("pods B13: links of all kinds and their queues", () =>
      all(mesh, [...LINKS, ...QUEUES]).then(() => {}));
    await test.step("a plain container makes the kernel load nothing where another one may", () => asksInVain(plain));
    await test.step("nor does the one with NET_ADMIN by what it has no capability for", async () => {
      await mesh.tryExec(withHost("mount -t squashfs /dev/null /mnt"));
      assert.ok(!(await modulesOf(plain)).includes("squashfs"));
    });

    const privileged = await withTools(pod, "privileged", { privileged: true });
    await test.step("pods B13: loop devices and file systems on them, TUN and FUSE", async () => {
      assert.match(await all(privileged, DEVICES), /here/);
    });
  },
);

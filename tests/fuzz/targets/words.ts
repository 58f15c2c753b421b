/** Short texts with a grammar: options, addresses, ids, sizes, lists, names. @module */
import { loadAgentConfig } from "../../../src/agent/config.ts";
import { parseId, parseMode } from "../../../src/agent/storage/options.ts";
import { errorCode } from "../../../src/base/error.ts";
import { parseLevel } from "../../../src/base/log.ts";
import { verifyId } from "../../../src/base/id.ts";
import { parseSize } from "../../../src/base/size.ts";
import { mergeParams, splitParams } from "../../../src/hypervisor/common/kernel_params.ts";
import { virtiofsdKind, virtiofsdOptions } from "../../../src/hypervisor/common/virtiofsd_program.ts";
import { formatCidr, formatIp, parseCidr, parseIp, parseMac } from "../../../src/linux/net/ip_address.ts";
import { parseMountOptions, parsePropagation } from "../../../src/linux/mount/mount_options.ts";
import { identify } from "../../../src/shim/annotations.ts";
import { cgroupPath } from "../../../src/oci/cgroup/cgroup.ts";
import { parseSubCgroups } from "../../../src/oci/cgroup/sub_cgroup.ts";
import { cpuMask } from "../../../src/oci/init/scheduling.ts";
import { sysctlPath, sysctlProblem } from "../../../src/oci/init/sysctl.ts";
import { expandSlice, planScope } from "../../../src/oci/cgroup/systemd/scope.ts";
import { socketPath } from "../../../src/systemd/dbus_client.ts";
import { completeEnvironment, homeOf, parsePasswd } from "../../../src/oci/init/user.ts";
import { takeMaps } from "../../../src/resources/rootfs/mapped.ts";
import { shortenOverlay } from "../../../src/resources/rootfs/overlay.ts";
import { parseAddress } from "../../../src/rpc/transport/address.ts";
import { DISK_DRIVERS, fromDiskSource } from "../../../src/agent_api/disk_address.ts";
import { agentKernelParameters, parseAgentOptions } from "../../../src/agent_api/options.ts";
import { parseShimArgs } from "../../../src/shim/args.ts";
import { formatSyslog } from "../../../src/shim/log/logs.ts";
import { textParsers } from "../core/parsers.ts";
import { hold } from "../core/target.ts";

const LAYERS = Array.from(
  { length: 60 },
  (_, layer) => `/var/lib/containerd/snapshots/${layer}/a-long-name-of-a-layer-${layer}/fs`,
);
const PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nodd::4294967294:0::\n";

export const words = textParsers({
  name: "words",
  rounds: 6000,
  rows: {
    "mount options": {
      good: ["ro,nosuid,nodev,size=64k", "rbind,rslave,rro", "rw,relatime,tmpcopyup,idmap", "noatime,mode=1777,uid=0"],
      parse(text) {
        const { flags, cleared, data } = parseMountOptions(text.split(","));
        hold((flags & cleared) === 0, "no mount flag is both set and cleared");
        hold(!data.split(",").includes("ro"), "a flag does not go to the file system");
      },
    },
    propagation: { good: ["rslave", "private", "rshared"], parse: parsePropagation },
    overlay: {
      good: [
        `lowerdir=${LAYERS.join(":")},upperdir=/u,workdir=/w`,
        "lowerdir=/a:/b",
        `index=off,lowerdir=${LAYERS.join(":")}`,
      ],
      parse(text) {
        const { directory, data } = shortenOverlay(text);
        if (directory !== undefined) {
          hold(directory.startsWith("/") && data.length < text.length, "options get shorter");
        }
      },
    },
    "maps of owners": {
      good: ["uidmap=0:100000:65536 gidmap=0:5:1,1:7:2 lowerdir=/a", "uidmap=0:0:4294967295 gidmap=0:0:1"],
      parse(text) {
        const { maps, options } = takeMaps(text.split(" "));
        hold(!options.some((option) => /^[ug]idmap=/.test(option)), "no map is left for the kernel");
        const ids = [maps?.uidMappings ?? [], maps?.gidMappings ?? []].flat().flatMap(Object.values);
        hold(ids.every((id) => Number.isInteger(id) && id >= 0), "ids are whole numbers");
      },
    },
    passwd: {
      good: [PASSWD],
      parse(text) {
        for (const { uid, gid } of parsePasswd(text)) {
          hold(Number.isInteger(uid) && Number.isInteger(gid) && uid < 2 ** 32 - 1, "a user is a number of 32 bits");
        }
        homeOf(parsePasswd(text), 0);
      },
    },
    environment: {
      good: ["HOME=\nPATH=/bin\n=x\nA"],
      parse: (text) => completeEnvironment(text.split("\n"), () => "/"),
    },
    address: {
      good: [
        "unix:///run/x",
        "vsock://3:1024",
        "hvsock:///run/x:1024",
        "serial:///run/p",
        "serial://agent.0",
        "remote:///x",
      ],
      parse: parseAddress,
    },
    id: {
      good: ["abc", "a.b-c_d", "0"],
      parse: (text) => hold(!/[/\0\n]|^\.|^$/.test(verifyId(text)), "an id is one component of a path"),
    },
    size: {
      good: ["64M", "2GiB", "512"],
      parse: (text) => hold(Number.isSafeInteger(parseSize(text)), "a size is whole"),
    },
    level: { good: ["info", "debug", "warning"], parse: parseLevel },
    "kernel parameters": {
      good: ['root=/dev/vda ro quiet x="a b" agent.log=debug', "systemd.unit=kata.target"],
      parse: (text) => mergeParams([splitParams(text), splitParams("ro a=b")]),
    },
    "agent options": {
      good: [
        "agent.log=debug agent.server_addr=vsock://-1:1024 agent.hotplug_timeout=3",
        "agent.unified_cgroup_hierarchy=1",
      ],
      parse: (text) => agentKernelParameters(parseAgentOptions(text)),
    },
    "agent file": {
      good: ['log_level = "debug"\nserver_addr = "vsock://-1:1024"\nhotplug_timeout = 3\n'],
      parse: (text) =>
        loadAgentConfig({ cmdline: "", env: { get: () => undefined }, file: "/agent.toml", readFile: () => text }),
    },
    ip: { good: ["10.0.0.1", "fe80::1", "::ffff:1.2.3.4", "2001:db8::"], parse: (text) => formatIp(parseIp(text)) },
    cidr: {
      good: ["10.0.0.0/8", "fd00::/64"],
      parse(text) {
        const cidr = parseCidr(text);
        hold(formatCidr(parseCidr(formatCidr(cidr))) === formatCidr(cidr), "a network is written as it is read");
      },
    },
    mac: { good: ["02:42:ac:11:00:02"], parse: parseMac },
    "virtiofsd kind": { good: ["      --shared-dir <SHARED_DIR>", "    -o source=PATH"], parse: virtiofsdKind },
    "virtiofsd help": { good: ["      --xattr", "    -o xattr|no_xattr  enable"], parse: virtiofsdOptions },
    "disk address": {
      good: ["3:0", "02/00", "0.0.0001", "/dev/vdb"],
      parse(text) {
        const found = DISK_DRIVERS.flatMap((driver) => {
          try {
            return [fromDiskSource({ driver, source: text })];
          } catch (error) {
            if (errorCode(error) === "INVALID_ARGUMENT") return [];
            throw error;
          }
        });
        for (const address of found) {
          if (address.bus === "mmio") hold(/^\/dev\/[^/.]+$/.test(address.path), "a node is right below /dev");
          if (address.bus === "ccw") hold(!address.id.includes("/"), "an id is one component");
        }
      },
    },
    "storage mode": { good: ["0755", "1777"], parse: parseMode },
    "storage id": { good: ["1000", "0"], parse: parseId },
    engine: {
      good: [
        "io.kubernetes.cri.container-type=container\nio.kubernetes.cri.sandbox-id=abc",
        "io.kubernetes.cri-o.ContainerType=container\nio.kubernetes.cri-o.SandboxID=abc",
      ],
      parse(text) {
        const pairs = text.split("\n").map((line) => [line.split("=")[0]!, line.slice(line.indexOf("=") + 1)] as const);
        const { sandboxId } = identify(Object.fromEntries(pairs), "own");
        void sandboxId;
      },
    },
    "cgroup path": {
      good: ["/kubepods/pod1/c1", "system.slice:kata:c1", "kata/c1"],
      parse: (text) => hold(!cgroupPath(text, "c1").split("/").includes(".."), "a group is below its root"),
    },
    slice: { good: ["kubepods-besteffort-pod1.slice", "-.slice", "a-b.slice"], parse: expandSlice },
    scope: { good: ["system.slice:kata:c1", ":x:c2"], parse: (text) => planScope(text, { id: "c1", ofUser: false }) },
    "bus address": {
      good: ["unix:path=/run/dbus/system_bus_socket,guid=1", "unix:abstract=x;unix:path=/y"],
      parse: socketPath,
    },
    "sub cgroups": { good: ["cpu,memory:/a", "/a/b", ":/x"], parse: (text) => parseSubCgroups(text.split("\n")) },
    "cpu list": {
      good: ["0-3,7", "0,1023"],
      parse: (text) => hold(cpuMask(text).length <= 1 << 16, "a mask is small"),
    },
    sysctl: {
      good: ["net.ipv4.ip_forward", "kernel.shm_rmid_forced", "net.ipv4.conf.eth0/1.forwarding", "fs.mqueue.msg_max"],
      parse(text) {
        if (sysctlProblem(text, new Set(["network", "ipc"])) !== undefined) return;
        hold(!sysctlPath(text).split("/").includes(".."), "a sysctl is below /proc/sys");
      },
    },
    "shim arguments": {
      good: [
        "-namespace k8s.io -address /run/x.sock -publish-binary /usr/bin/containerd -id abc start",
        "-v",
        "-id a -namespace b delete -bundle /x",
      ],
      parse: (text) => hold(!parseShimArgs(text.split(" ")).id.includes("/"), "the shim's id is one component"),
    },
    "log line": { good: ["level=info msg=x"], parse: (text) => formatSyslog(text, "info", new Date(0)) },
  },
});

/** Settings of a node for pods: containerd's CRI plugin with our runtime, a bridge network and a pause image. @module */
export const PAUSE = "localhost/pause:1";
export const HANDLER = "kata";
/** Runs at the same time have networks and cgroups of their own. */
const NUMBER = crypto.getRandomValues(new Uint8Array(1))[0]!;
export const BRIDGE = `kata-test${NUMBER}`;
export const CGROUP_PARENT = `/kata-test-pods-${NUMBER}`;
/** The node's own addresses on the bridge. */
export const GATEWAY = { inet: `10.197.${NUMBER}.1`, inet6: `fd00:197:${NUMBER}::1` } as const;

export interface PodSettings {
  runtime: string;
  /** Of containerd, whose second generation has the plugin in three parts. */
  version: string;
  /** Annotations of pods that are passed on to the shim; default: Kata's own. */
  annotations?: readonly string[];
}

/**
 * Writes the network's configuration.
 *
 * @returns The CRI plugin's section of containerd's configuration.
 */
export async function podSettings(
  directory: string,
  { runtime, version, annotations = ["io.katacontainers.*"] }: PodSettings,
): Promise<string> {
  await Deno.mkdir(`${directory}/cni`);
  await Deno.writeTextFile(`${directory}/cni/10-bridge.conflist`, JSON.stringify(network(directory)));
  const isFirst = version.startsWith("1.");
  const server = `plugins."io.containerd.grpc.v1.cri"`;
  const cri = isFirst ? server : `plugins."io.containerd.cri.v1.runtime"`;
  const pause = isFirst
    ? `sandbox_image = "${PAUSE}"`
    : `[plugins."io.containerd.cri.v1.images".pinned_images]\nsandbox = "${PAUSE}"`;
  return `[${server}]
disable_tcp_service = true
stream_server_address = "127.0.0.1"
${isFirst ? "" : `[${cri}]`}
restrict_oom_score_adj = true
${pause}
[${cri}.cni]
bin_dir = "/usr/lib/cni"
conf_dir = "${directory}/cni"
[${cri}.containerd]
default_runtime_name = "${HANDLER}"
[${cri}.containerd.runtimes.${HANDLER}]
runtime_type = "${runtime}"
pod_annotations = ${JSON.stringify(annotations)}
`;
}

function network(directory: string): unknown {
  const ranges = [[{ subnet: `10.197.${NUMBER}.0/24` }], [{ subnet: `fd00:197:${NUMBER}::/64` }]];
  const routes = [{ dst: "0.0.0.0/0" }, { dst: "::/0" }];
  const ipam = { type: "host-local", dataDir: `${directory}/ipam`, ranges, routes };
  const plugin = { type: "bridge", bridge: BRIDGE, isGateway: true, ipMasq: false, mtu: 1400, ipam };
  return { cniVersion: "0.4.0", name: "kata-test", plugins: [plugin] };
}

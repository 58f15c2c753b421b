/** F2: parts of an emptyDir (`subPath`), which a container has made links before the next one mounts them. */
import assert from "node:assert/strict";
import { errorChain } from "../../src/base/error.ts";
import { Kubelet } from "../interop/kubelet.ts";
import { pods, SLEEP } from "../interop/pod.ts";
import { hostileContainer } from "./hostile_container.ts";

const TARGETS = ["/run", "/proc", "/sys/fs/cgroup", "/dev", "../../../../../../../../run"];
const MIDDLE = `${TARGETS.length}/kata-containers`;

pods(
  "F2: a subPath of an emptyDir never leads out of it, whatever link a container of default rights has put there",
  async (node, test) => {
    await using kubelet = new Kubelet(node);
    const empty = "volumes/kubernetes.io~empty-dir";
    const memory = await kubelet.mount(`${empty}/memory`, "-t", "tmpfs", "-o", "size=4M", "tmpfs");
    const volumes = { memory, disk: await kubelet.directory(`${empty}/disk`) };
    await using pod = await node.pod("pod");
    /** As the kubelet does: the part is made on the host, where the volume is empty, and mounted elsewhere. */
    const subPath = async (kind: keyof typeof volumes, path: string) => {
      await kubelet.directory(`${empty}/${kind}/${path}`, 0o750);
      const place = `volume-subpaths/${kind}/two/${crypto.randomUUID()}`;
      return await kubelet.mount(place, "--bind", `${volumes[kind]}/${path}`);
    };
    const looker = (host_path: string) =>
      pod.run(crypto.randomUUID(), SLEEP, { mounts: [{ container_path: "/part", host_path }] });
    const mounts = Object.entries(volumes).map(([kind, host_path]) => ({ container_path: `/${kind}`, host_path }));
    const hostile = await hostileContainer(pod, "hostile", { mounts });
    for (const kind of ["memory", "disk"] as const) {
      for (const [name, target] of [...TARGETS, "/run"].entries()) {
        await hostile.exec(
          `ln -s ${target} /${kind}/${name}`,
        );
      }
      await hostile.exec(`mkdir /${kind}/real && echo inside >/${kind}/real/file && ln -s real /${kind}/now`);
      for (const path of [...TARGETS.keys(), MIDDLE]) {
        await test.step(`${kind}: ${path} -> ${TARGETS[Number(path)] ?? "a link in the middle, to /run"}`, async () => {
          const part = await subPath(kind, String(path));
          await assert.rejects(looker(part), (error) => /a link leads out of/.test(errorChain(error)));
        });
      }
      await test.step(`${kind}: a link that stays in the volume, as after an init container`, async () => {
        const container = await looker(await subPath(kind, "now"));
        assert.equal(await container.exec("cat /part/file"), "inside\n");
      });
      await test.step(`${kind}: a new part is the kubelet's, and the whole shows it`, async () => {
        const container = await looker(await subPath(kind, "new/deep"));
        await container.exec("echo there >/part/file");
        const seen = await hostile.exec(`stat -c %a /${kind}/new/deep; cat /${kind}/new/deep/file`);
        assert.equal(seen, "750\nthere\n");
      });
    }
  },
  // In the kubelet's directory it is the kubelet that follows no link.
  { configure: (toml) => `${toml}[runtime]\ndisable_guest_empty_dir = false\n` },
);

/** Annotations of pods and containers: Kata's, and those of engines. @module */
import { ANNOTATION_PREFIX, entries } from "../../config/reference/describe.ts";
import type { Fate, Fates } from "./fate.ts";

const WHICH_POD: Fate = { carried: "it says which container is in which pod" };
const FOR_METRICS: Fate = { carried: "as it is; also a word of the sandbox's statistics and of a policy" };
const SIZE: Fate = { carried: "the size of the pod's machine" };
const PASSED_ON: Fate = { carried: "as it is, to the guest, for hooks and policies there" };

/** Of each key that pods may change. */
const SETTINGS: Fates = Object.fromEntries(
  entries().flatMap(({ table, name, key: { annotation } }) =>
    annotation === undefined ? [] : [[`${ANNOTATION_PREFIX}${annotation.name}`, { carried: `${table.path}.${name}` }]]
  ),
);

/** Keys of ours and of Kata's that only the administrator sets, where Kata lets pods set them as well. */
const ADMINISTRATORS = [
  ..."path image initrd kernel machine_type machine_accelerators cpu_features default_maxvcpus".split(" "),
  ..."entropy_source enable_hugepages memory_slots disable_vhost_net shared_fs virtio_fs_daemon".split(" "),
  ..."virtio_fs_cache virtio_fs_extra_args block_device_driver block_device_aio block_device_cache_set".split(" "),
].map((name) => `hypervisor.${name}`).concat(
  "runtime.internetworking_model runtime.disable_new_netns runtime.sandbox_cgroup_only runtime.agent_name".split(" "),
);

/** Kata's own of things that are not here. */
const UPSTREAM = [
  ..."path_hash hypervisor_hash jailer_path jailer_hash kernel_hash kernel_verity_params image_hash".split(" "),
  ..."initrd_hash firmware_hash firmware_volume firmware_volume_hash asset_hash_type enable_iothreads".split(" "),
  ..."enable_virtio_mem enable_guest_swap reclaim_guest_freed_memory hot_plug_vfio cold_plug_vfio".split(" "),
  ..."numa_mapping indep_iothreads enable_vhost_user_store msize_9p rootless".split(" "),
  ..."rx_rate_limiter_max_rate tx_rate_limiter_max_rate guest_hook_path use_legacy_serial".split(" "),
  ..."default_gpus default_gpu_model prefetch_files.list cc_init_data".split(" "),
].map((name) => `config.hypervisor.${name}`).concat(
  "config.runtime.name config.runtime.guest_selinux_label".split(" "),
  "config.runtime.enable_vcpus_pinning config.runtime.vfio_mode config.runtime.shared_mounts".split(" "),
  "config.runtime.enable_pprof config.runtime.experimental_force_guest_pull".split(" "),
  "config.agent.enable_tracing config.agent.container_pipe_size config.agent.policy".split(" "),
  "asset_hash_type enable_vcpus_pinning container.resource.swappiness container.resource.swap_in_bytes".split(" "),
);

/** By name; one that ends in `.` or `/` stands for all that begin with it. */
export const ANNOTATION_FATES: Fates = {
  ...SETTINGS,
  "io.katacontainers.config_path": { carried: "a file among those that the administrator has put there" },
  "io.katacontainers.pkg.oci.": { carried: "the shim writes them itself, whatever a pod says" },
  ...Object.fromEntries(
    ADMINISTRATORS.map((name) => [`${ANNOTATION_PREFIX}${name}`, { refused: "only the configuration sets" }]),
  ),
  [`${ANNOTATION_PREFIX}runtime.experimental`]: { refused: "runtime.experimental is not supported yet" },
  ...Object.fromEntries(UPSTREAM.map((name) => [`io.katacontainers.${name}`, { refused: "it changes nothing here" }])),
  "any other io.katacontainers.": { refused: "it changes nothing here" },
  "io.kubernetes.cri.container-type": WHICH_POD,
  "io.kubernetes.cri.sandbox-id": WHICH_POD,
  "io.kubernetes.cri-o.ContainerType": WHICH_POD,
  "io.kubernetes.cri-o.SandboxID": WHICH_POD,
  "io.kubernetes.docker.type": WHICH_POD,
  "io.kubernetes.sandbox.id": WHICH_POD,
  "io.kubernetes.cri.container-name": FOR_METRICS,
  "io.kubernetes.cri.sandbox-name": FOR_METRICS,
  "io.kubernetes.cri.sandbox-namespace": FOR_METRICS,
  "io.kubernetes.cri.image-name": FOR_METRICS,
  "io.kubernetes.cri-o.ContainerName": FOR_METRICS,
  "io.kubernetes.cri-o.KubeName": FOR_METRICS,
  "io.kubernetes.cri-o.Namespace": FOR_METRICS,
  "io.kubernetes.cri-o.ImageName": FOR_METRICS,
  "io.kubernetes.cri.sandbox-cpu-period": SIZE,
  "io.kubernetes.cri.sandbox-cpu-quota": SIZE,
  "io.kubernetes.cri.sandbox-memory": SIZE,
  "io.kubernetes.cri.": PASSED_ON,
  "io.kubernetes.cri-o.": PASSED_ON,
  "io.kubernetes.container.terminationMessagePath": { carried: "the file is read to the host when the container ends" },
  "io.kubernetes.container.": PASSED_ON,
  "cdi.k8s.io/": { meaningless: "the engine has made devices, mounts and hooks of it, which have fates of their own" },
  "nerdctl/": { meaningless: "the engine's own, which has made a specification of it" },
  "run.oci.": { meaningless: "of crun, about how it does its work on the host" },
  "org.systemd.property.": { meaningless: "of a scope of systemd, which the guest has not; runk has it" },
};

/** The row of an annotation; undefined: it is passed on to the guest as it is. */
export function annotationFate(name: string): Fate | undefined {
  const own = ANNOTATION_FATES[name];
  if (own !== undefined) return own;
  const around = Object.keys(ANNOTATION_FATES).filter((key) => /[./]$/.test(key) && name.startsWith(key));
  return around.length === 0 ? undefined : ANNOTATION_FATES[around[0]!];
}

/**
 * Names that runtime and agent must spell alike besides the proto: ports, drivers, option keys, paths in the guest.
 * The agent's options on the kernel command line are in `options.ts`.
 *
 * @module
 */

/** vsock ports in the guest. */
export const AGENT_PORT = 1024;
export const AGENT_LOG_PORT = 1025;

/** The context id of each guest behind a hybrid vsock: the VMM gives every VM a socket of its own. */
export const HYBRID_VSOCK_CID = 3;

/** Name of the virtio-serial port that carries the agent's API where there is no vsock. */
export const AGENT_SERIAL_PORT = "agent.0";

/** File of QEMU (`fw_cfg`) with the host's key, for machines whose firmware has no strings. */
export const HOST_KEY_FILE = "opt/org.katacontainers.host-key";

/** Answered by `Health.Version` as the version of the API. */
export const AGENT_API_VERSION = "0.0.1";

/** `Storage.driver`: how the agent finds and mounts a storage. */
export const STORAGE_DRIVER = {
  /** source: a device node or a PCI path */
  block: "blk",
  /** source: a CCW id, on s390x */
  blockCcw: "blk-ccw",
  /** source: a device node that a uevent announces */
  blockMmio: "mmioblk",
  /** source: `<SCSI id>:<LUN>` */
  scsi: "scsi",
  /** source: `/dev/pmemN` */
  nvdimm: "nvdimm",
  /** a tmpfs, or huge pages */
  ephemeral: "ephemeral",
  /** a directory made in the guest */
  local: "local",
  overlay: "overlayfs",
  /** source: the tag of the shared directory */
  virtioFs: "virtio-fs",
  /** a copy that the agent keeps up to date, for mounts whose changes virtio-fs does not announce */
  watchableBind: "watchable-bind",
  /** source: an image reference that the guest pulls itself */
  imagePull: "image_guest_pull",
  multiLayerErofs: "erofs.multi-layer",
} as const;
export type StorageDriver = typeof STORAGE_DRIVER[keyof typeof STORAGE_DRIVER];

/** `Device.type`: how the agent finds a device of a container. */
export const DEVICE_DRIVER = {
  /** id: a PCI path */
  block: "blk",
  blockCcw: "blk-ccw",
  /** vm_path: a device node */
  blockMmio: "mmioblk",
  nvdimm: "nvdimm",
  /** id: `<SCSI id>:<LUN>` */
  scsi: "scsi",
  /** options: `<host address>=<PCI path in the guest>`; the container gets `/dev/vfio/<group>` */
  vfioPci: "vfio-pci",
  /** as vfioPci, but a driver of the guest keeps the device */
  vfioPciGuestKernel: "vfio-pci-gk",
  /** options: adapter and queue as `xx.yyyy`, on s390x */
  vfioAp: "vfio-ap",
  vfioApCold: "vfio-ap-cold",
} as const;

/** Entries of `Storage.driver_options`; those ending in `=` take a value. */
export const DRIVER_OPTION = {
  createFilesystem: "create_filesystem",
  encryptionKey: "encryption_key=",
  imagePull: "image_guest_pull=",
  overlayCreateDirectory: "io.katacontainers.volume.overlayfs.create_directory=",
  /** The mount point is this relative path, in a volume that ends before it; ours, which other agents leave alone. */
  volumePart: "io.katacontainers.volume.part=",
} as const;

/** Entries of `Storage.options` that the agent takes for itself instead of passing them to mount(2). */
export const STORAGE_OPTION = {
  /** Owner group of the mount point, decimal. */
  fsGroup: "fsgid=",
  /** Mode of a local directory, octal. */
  mode: "mode=",
  overlayReadWrite: "io.katacontainers.fs-opt.overlay-rw",
  multiLayer: "X-kata.multi-layer=true",
  overlayUpper: "X-kata.overlay-upper",
  overlayLower: "X-kata.overlay-lower",
  makeDirectory: "X-kata.mkdir.path=",
  gptPartitioned: "X-kata.gpt-partitioned=true",
  partitionNumber: "X-kata.partition-number=",
  verityEnabled: "X-kata.dmverity-enabled=true",
  verityRootHash: "X-kata.dmverity.roothash=",
  verityHashOffset: "X-kata.dmverity.hashoffset=",
  verityBlockSize: "X-kata.dmverity.blocksize=",
  verityHashSize: "X-kata.dmverity.hashsize=",
  verityAlgorithm: "X-kata.dmverity.algorithm=",
  veritySalt: "X-kata.dmverity.salt=",
  verityHashType: "X-kata.dmverity.hashtype=",
  verityNoSuperblock: "X-kata.dmverity.no-superblock=",
} as const;

/** The virtio-fs tag of the directory that the host shares. */
export const SHARED_TAG = "kataShared";

/** Paths in the guest. */
export const GUEST_PATH = {
  /** Bundles of the containers: `<containers>/<container id>/`. */
  containers: "/run/kata-containers",
  /** Mount point of the shared directory, and the only place that CopyFile writes to. */
  shared: "/run/kata-containers/shared/containers",
  /** Root file systems (`<id>/rootfs`) and volumes, as the host passes them through. */
  passthrough: "/run/kata-containers/shared/containers/passthrough",
  /** Copies that the agent keeps up to date; the shared directory itself is read-only at its top. */
  watchable: "/run/kata-containers/sandbox/watchable",
  sandboxMounts: "/run/kata-containers/shared/containers/passthrough/sandbox-mounts",
  shm: "/run/kata-containers/sandbox/shm",
  ephemeral: "/run/kata-containers/sandbox/ephemeral",
  blockVolumes: "/run/kata-containers/sandbox/storage",
  resolvConf: "/run/kata-containers/sandbox/resolv.conf",
  /** Namespaces that the containers of a pod share: `ipc`, `uts`. */
  namespaces: "/var/run/sandbox-ns",
  defaultPolicy: "/etc/kata-opa/default-policy.rego",
  cdhSocket: "/run/confidential-containers/cdh.sock",
} as const;

/** Annotations that the runtime adds to the spec for the agent. */
export const SPEC_ANNOTATION = {
  bundlePath: "io.katacontainers.pkg.oci.bundle_path",
  containerType: "io.katacontainers.pkg.oci.container_type",
} as const;

/** Values of the annotation {@linkcode SPEC_ANNOTATION}.containerType. */
export const CONTAINER_TYPES = ["pod_sandbox", "pod_container", "single_container"] as const;
/** A pod's sandbox, a container in a pod, or a container that is alone (docker, nerdctl, podman, ctr). */
export type ContainerType = typeof CONTAINER_TYPES[number];

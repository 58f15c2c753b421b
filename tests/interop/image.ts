/** A container image made of busybox alone, as an OCI layout that containerd imports. @module */
import { createHash } from "node:crypto";

export const IMAGE = "localhost/busybox:1";

/** Name, program and content of an image; all but the default is up to the test. */
export interface ImageOptions {
  name?: string;
  command?: readonly string[];
  /** Changes the file system, whose root is given, such as to plant links in it. */
  plant?: (root: string) => void | Promise<void>;
  /** Layers above the file system; each adds a file of its number and changes one that all have, the last hides another. */
  moreLayers?: number;
}

/** Writes the archive to `path`. */
export async function writeImage(path: string, options: ImageOptions = {}): Promise<void> {
  const { name = IMAGE, command = ["/bin/sh"], plant, moreLayers = 0 } = options;
  const work = await Deno.makeTempDir({ prefix: "kata-image-" });
  try {
    const layers = [await makeLayer(work, plant)];
    for (let number = 1; number <= moreLayers; number++) {
      layers.push(await makeSmallLayer(work, { number, isLast: number === moreLayers }));
    }
    const blobs = `${work}/layout/blobs/sha256`;
    await Deno.mkdir(blobs, { recursive: true });
    const put = async (bytes: Uint8Array, mediaType: string) => {
      const digest = sha256(bytes);
      await Deno.writeFile(`${blobs}/${digest}`, bytes);
      return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
    };
    const config = json({
      architecture: Deno.build.arch === "x86_64" ? "amd64" : "arm64",
      os: "linux",
      config: { Env: ["PATH=/bin"], Cmd: command },
      rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${sha256(layer)}`) },
    });
    const manifest = json({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: await put(config, "application/vnd.oci.image.config.v1+json"),
      layers: await Promise.all(layers.map((layer) => put(layer, "application/vnd.oci.image.layer.v1.tar"))),
    });
    const entry = await put(manifest, "application/vnd.oci.image.manifest.v1+json");
    const annotations = { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": "1" };
    const index = json({ schemaVersion: 2, manifests: [{ ...entry, annotations }] });
    await Deno.writeFile(`${work}/layout/index.json`, index);
    await Deno.writeTextFile(`${work}/layout/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
    await tar(`${work}/layout`, path);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** An image that has `flock` besides, which busybox lacks: the host's, with its libraries. */
export const LOCKING_IMAGE = {
  name: "localhost/flock:1",
  async plant(root: string): Promise<void> {
    const program = "/usr/bin/flock";
    const { stdout } = await new Deno.Command("ldd", { args: [program] }).output();
    const libraries = new TextDecoder().decode(stdout).match(/\/\S+/g) ?? [];
    for (const path of [program, ...libraries]) {
      await Deno.mkdir(`${root}${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      await Deno.copyFile(path, `${root}${path}`);
    }
    await Deno.symlink(program, `${root}/bin/flock`);
  },
};

/** Writes only the file system of the image, as a tar. */
export async function writeLayer(path: string): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "kata-image-" });
  try {
    await Deno.writeFile(path, await makeLayer(work));
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function makeLayer(work: string, plant?: ImageOptions["plant"]): Promise<Uint8Array<ArrayBuffer>> {
  const root = `${work}/root`;
  for (const name of ["bin", "etc", "tmp", "proc", "sys", "dev"]) {
    await Deno.mkdir(`${root}/${name}`, { recursive: true });
  }
  await Deno.copyFile("/bin/busybox", `${root}/bin/busybox`);
  const { stdout } = await new Deno.Command("/bin/busybox", { args: ["--list"] }).output();
  for (const applet of new TextDecoder().decode(stdout).trim().split("\n")) {
    if (applet !== "busybox") await Deno.symlink("busybox", `${root}/bin/${applet}`);
  }
  await Deno.writeTextFile(`${root}/etc/passwd`, "root:x:0:0:root:/:/bin/sh\n");
  await Deno.writeTextFile(`${root}/etc/group`, "root:x:0:\n");
  await plant?.(root);
  await tar(root, `${work}/layer.tar`);
  return await Deno.readFile(`${work}/layer.tar`);
}

async function makeSmallLayer(
  work: string,
  { number, isLast }: { number: number; isLast: boolean },
): Promise<Uint8Array<ArrayBuffer>> {
  const root = `${work}/small`;
  await Deno.mkdir(`${root}/layers`, { recursive: true });
  await Deno.writeTextFile(`${root}/layers/${number}`, `${number}\n`);
  await Deno.writeTextFile(`${root}/last`, `${number}\n`);
  if (isLast) await Deno.writeTextFile(`${root}/layers/.wh.1`, "");
  await tar(root, `${work}/small.tar`);
  await Deno.remove(root, { recursive: true });
  return await Deno.readFile(`${work}/small.tar`);
}

async function tar(directory: string, output: string): Promise<void> {
  const args = ["-C", directory, "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-cf", output, "."];
  const { success } = await new Deno.Command("tar", { args }).output();
  if (!success) throw new Error(`Cannot write "${output}"`);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function json(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Makes directories and mounts for the volumes of a pod on the host, as a kubelet does. @module */
import assert from "node:assert/strict";
import type { PodNode } from "./pod.ts";

/** A kubelet's directory of one pod. Disposing it unmounts what was mounted in it. */
export class Kubelet implements AsyncDisposable {
  readonly root: string;
  readonly #node: PodNode;
  readonly #mounts: string[] = [];

  constructor(node: PodNode) {
    this.#node = node;
    this.root = `${node.containerd.directory}/pods/${crypto.randomUUID()}`;
  }

  async directory(path: string, mode = 0o777): Promise<string> {
    const whole = `${this.root}/${path}`;
    await Deno.mkdir(whole, { recursive: true });
    await Deno.chmod(whole, mode);
    return whole;
  }

  async mount(path: string, ...args: readonly string[]): Promise<string> {
    const whole = await this.directory(path);
    await this.#must("mount", ...args, whole);
    this.#mounts.unshift(whole);
    return whole;
  }

  async #must(...command: readonly string[]): Promise<void> {
    const { status, stderr } = await this.#node.containerd.run(command);
    assert.equal(status, 0, stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#mounts) await this.#must("umount", "-l", path);
  }
}

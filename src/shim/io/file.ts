/** Output that is appended to a file. @module */
import type { OutputStream } from "../../sandbox/container/stdio.ts";

export class FileOutput implements OutputStream {
  readonly #file: Deno.FsFile;

  constructor(path: string) {
    this.#file = Deno.openSync(path, { append: true, create: true, mode: 0o640 });
  }

  async write(data: Uint8Array): Promise<void> {
    for (let rest = data; rest.length > 0;) rest = rest.subarray(await this.#file.write(rest));
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

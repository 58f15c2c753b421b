/** A client of containerd's Kubernetes interface, as a kubelet is one. @module */
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const PROTO = new URL("cri.proto", import.meta.url).pathname;
/** Options that a kubelet passes when it creates a pod. */
const CALL_LIMIT_MS = 240_000;

/** A message as JSON, with the names of cri.proto. */
// deno-lint-ignore no-explicit-any
export type Message = any;

/** Calls by name: `cri.call("RunPodSandbox", { config })`. Disposing it closes the connection. */
export class Cri implements Disposable {
  readonly #client: grpc.Client;

  constructor(socket: string) {
    const definition = grpc.loadPackageDefinition(loadSync(PROTO, { keepCase: true, defaults: true }));
    const { RuntimeService } = (definition as Message).runtime.v1;
    this.#client = new RuntimeService(`unix://${socket}`, grpc.credentials.createInsecure());
  }

  /** @throws {Error} With the status of the call. */
  call(method: string, request: Message = {}): Promise<Message> {
    const deadline = Date.now() + CALL_LIMIT_MS;
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, answer: Message) => error === null ? resolve(answer) : reject(error);
      (this.#client as Message)[method](request, { deadline }, done);
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

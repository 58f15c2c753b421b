/** The standard streams of processes. @module */
import { setWindowSize } from "../../linux/io/tty.ts";
import type { ReadStreamRequest } from "../../proto/agent_pb.ts";
import type { AgentMethods, Guest } from "../guest.ts";
import type { Caller, OutputName } from "../container/stdio.ts";

/** Capacity of a pipe: a larger buffer would cost memory and never be filled. */
const MAX_READ_BYTES = 64 << 10;

/** Reading and writing, both of which wait as long as the process makes them. */
export function streamMethods({ sandbox }: Guest): AgentMethods {
  async function read(name: OutputName, request: ReadStreamRequest, caller: Caller) {
    const container = sandbox.container(request.containerId);
    const process = container.process(request.execId);
    const data = await process.streams.read(name, Math.min(request.len || MAX_READ_BYTES, MAX_READ_BYTES), caller);
    if (data.length === 0) container.forgetIfFinished(process);
    return { data };
  }
  return {
    readStdout: (request, caller) => read("stdout", request, caller),
    readStderr: (request, caller) => read("stderr", request, caller),
    async writeStdin({ containerId, execId, data }, caller) {
      const { streams } = sandbox.process({ containerId, execId });
      if (data.length === 0) await streams.closeInput();
      else await streams.write(data as Uint8Array<ArrayBuffer>, caller);
      return { len: data.length };
    },
    async closeStdin(request) {
      await sandbox.process(request).streams.closeInput();
      return {};
    },
    ttyWinResize({ containerId, execId, row, column }) {
      setWindowSize(sandbox.process({ containerId, execId }).streams.terminal, { rows: row, columns: column });
      return {};
    },
  };
}

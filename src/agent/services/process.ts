/** Processes in containers: start, signal, wait, and their streams. @module */
import { KataError } from "../../base/error.ts";
import { verifyId } from "../../base/id.ts";
import { setWindowSize } from "../../linux/tty.ts";
import { processFromProto } from "../../oci/proto.ts";
import type { ReadStreamRequest } from "../../proto/agent_pb.ts";
import type { AgentPart, Guest } from "../guest.ts";
import type { Caller, OutputName } from "../stdio.ts";

/** What a pipe holds: a larger buffer would cost its memory and never be filled. */
const MAX_READ_BYTES = 64 << 10;

export function processPart({ sandbox }: Guest): AgentPart {
  async function read(name: OutputName, request: ReadStreamRequest, caller: Caller) {
    const container = sandbox.container(request.containerId);
    const process = container.process(request.execId);
    const data = await process.streams.read(name, Math.min(request.len || MAX_READ_BYTES, MAX_READ_BYTES), caller);
    if (data.length === 0) container.forgetIfFinished(process);
    return { data };
  }
  return {
    async execProcess({ containerId, execId, process }) {
      if (process === undefined) {
        throw new KataError("INVALID_ARGUMENT", `Cannot exec "${execId}": the request has no process`);
      }
      await sandbox.container(containerId).exec(verifyId(execId, "exec"), processFromProto(process));
      return {};
    },
    async signalProcess({ containerId, execId, signal }) {
      await sandbox.container(containerId).signal(execId, signal);
      return {};
    },
    async waitProcess({ containerId, execId }, { signal }) {
      const container = sandbox.container(containerId);
      const process = container.process(execId);
      const status = await process.wait(signal);
      container.forgetIfFinished(process);
      return { status };
    },
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

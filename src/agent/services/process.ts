/** Processes in containers: start, signal, wait. @module */
import { KataError } from "../../base/error.ts";
import { verifyId } from "../../base/id.ts";
import { processFromProto } from "../../agent_api/spec_codec.ts";
import { needsOfProcess } from "../machine/kernel_needs.ts";
import type { AgentMethods, Guest } from "../guest.ts";

/** An empty exec id is the container's first process. */
export function processMethods({ sandbox, modules }: Guest): AgentMethods {
  return {
    async execProcess({ containerId, execId, process, stdinPort, stdoutPort, stderrPort }) {
      const refuse = (why: string) => `Cannot exec "${execId}" in container "${containerId}": ${why}`;
      if (process === undefined) throw new KataError("INVALID_ARGUMENT", refuse("the request has no process"));
      if (stdinPort + stdoutPort + stderrPort > 0) {
        throw new KataError("UNIMPLEMENTED", refuse("this agent cannot pass streams over vsock ports yet"));
      }
      const added = processFromProto(process);
      await modules.serve(needsOfProcess(added));
      await sandbox.container(containerId).exec(verifyId(execId, "exec"), added);
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
  };
}

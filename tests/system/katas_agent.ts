/** Habits of Kata's own agent that ours has not: see `src/agent_api/peers.ts`. @module */
import type { HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CreateContainerRequest } from "../../src/proto/agent_pb.ts";
import type { AgentMethods } from "./fake_agent.ts";

/** Nodes that it makes itself, and then fails on. */
const ITS_NODES = ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/urandom", "/dev/random"];

/** As many bytes of input as it takes at once. */
const MOST_INPUT = 4096;

interface Name {
  containerId: string;
  execId: string;
}

/** @param own Methods of an agent without habits. */
export function katasHabits(own: AgentMethods): AgentMethods {
  const forgotten = new Set<string>();
  const keyOf = ({ containerId, execId }: Name) => `${containerId}/${execId}`;
  const known = <R extends Name, A>(method: (request: R, context: HandlerContext) => A) => {
    return (request: R, context: HandlerContext): A => {
      if (forgotten.has(keyOf(request))) throw new ConnectError("ESRCH: No such process", Code.NotFound);
      return method(request, context);
    };
  };
  return {
    createContainer: (request, context) => {
      refuseTwice(request);
      return own.createContainer!(request, context);
    },
    waitProcess: known(async (request, context) => {
      const answer = await own.waitProcess!(request, context);
      forgotten.add(keyOf(request));
      return answer;
    }),
    readStdout: known((request, context) => own.readStdout!(request, context)),
    readStderr: known((request, context) => own.readStderr!(request, context)),
    signalProcess: known((request, context) => own.signalProcess!(request, context)),
    writeStdin: known((request, context) =>
      own.writeStdin!({ ...request, data: request.data.subarray(0, MOST_INPUT) }, context)
    ),
  };
}

function refuseTwice({ OCI }: CreateContainerRequest): void {
  for (const { Path, FileMode } of OCI?.Linux?.Devices ?? []) {
    if (ITS_NODES.includes(Path)) throw new ConnectError(`mknod ${Path}: EEXIST`, Code.Internal);
    if (FileMode === 0) throw new ConnectError(`stat ${Path}: ENOENT`, Code.Internal);
  }
}

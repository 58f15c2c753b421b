/** What a container left for whoever asks why it ended. @module */
import { KataError } from "../../base/error.ts";
import type { GuestContainer } from "../container.ts";
import type { AgentPart, Guest } from "../guest.ts";

/** One kind so far: the message file that Kubernetes knows. */
export function diagnosticPart({ sandbox }: Guest): AgentPart {
  return {
    getDiagnosticData({ logType, containerId }) {
      if (logType !== "termination_log") {
        throw new KataError("INVALID_ARGUMENT", `Cannot get diagnostic data of type "${logType}": no such type`);
      }
      return { data: terminationLog(sandbox.container(containerId)) };
    },
  };
}

const TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath";
const MAX_LOG_BYTES = 4096;

function terminationLog({ container: { spec } }: GuestContainer): string {
  const destination = spec.annotations?.[TERMINATION_PATH];
  const source = spec.mounts?.find((mount) => mount.destination === destination)?.source;
  if (source === undefined) return "";
  using file = Deno.openSync(source);
  const buffer = new Uint8Array(MAX_LOG_BYTES);
  return new TextDecoder().decode(buffer.subarray(0, file.readSync(buffer) ?? 0));
}

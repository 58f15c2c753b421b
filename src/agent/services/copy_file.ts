/** Files from the host. @module */
import { GUEST_PATH } from "../../agent_api/names.ts";
import { copyInto } from "../files/copy_file.ts";
import { parseCopy } from "../files/copy_request.ts";
import type { AgentMethods } from "../guest.ts";

/** One call per piece of a file; see `copy_file.ts` beside this folder. */
export function copyFileMethods(): AgentMethods {
  return {
    copyFile(request) {
      copyInto(GUEST_PATH.shared, parseCopy(request, GUEST_PATH.shared));
      return {};
    },
  };
}

/** A directory of the guest, shared by the containers of a pod. @module */
import type { Storage } from "../../proto/agent_pb.ts";
import { STORAGE_OPTION } from "../../rpc/agent_api.ts";
import { optionValue, parseId, parseMode } from "./options.ts";

const S_ISGID = 0o2000;

/** Makes the directory; it goes with its last user. */
export function attachLocal(storage: Storage): Disposable {
  const path = storage.mountPoint;
  Deno.mkdirSync(path, { recursive: true });
  const mode = optionValue(storage.options, STORAGE_OPTION.mode);
  const group = optionValue(storage.options, STORAGE_OPTION.fsGroup);
  if (group !== undefined) Deno.chownSync(path, null, parseId(group));
  if (mode !== undefined || group !== undefined) {
    Deno.chmodSync(path, (mode === undefined ? 0o755 : parseMode(mode)) | (group === undefined ? 0 : S_ISGID));
  }
  return { [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

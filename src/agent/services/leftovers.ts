/** Our own service beside Kata's: what the guest's network has no longer. @module */
import type { ServiceImpl } from "@connectrpc/connect";
import type { Leftovers } from "../../proto/leftovers_pb.ts";

/** Few pods lose a link, so the code for it is loaded late. */
export function leftoversService(): ServiceImpl<typeof Leftovers> {
  return {
    async removeNetwork(request) {
      const { removeNetwork } = await import("../network/network_removal.ts");
      removeNetwork(request);
      return {};
    },
  };
}

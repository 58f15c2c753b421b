/** Methods for things that this agent has not got and Kata's may lack, too: its clients know that by these codes. @module */
import { KataError } from "../../base/error.ts";
import type { AgentMethods } from "../guest.ts";

/** Each fails with the code, and the words, that Kata's agent has for it. */
export function absentMethods(): AgentMethods {
  const noMemoryAgent = (call: string) => () => {
    throw new KataError("INTERNAL", `Cannot call ${call}: mem-agent is disabled`);
  };
  return {
    setPolicy: () => {
      throw new KataError("NOT_FOUND", "Cannot call SetPolicy: this agent is built without policies, and allows all");
    },
    memAgentMemcgSet: noMemoryAgent("MemAgentMemcgSet"),
    memAgentCompactSet: noMemoryAgent("MemAgentCompactSet"),
  };
}

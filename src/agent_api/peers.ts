/**
 * How the other ends of this API speak. Kata's own agent answers our shim, Kata's shims in Rust and Go and its `agent-ctl`
 * call our agent, with the same messages; what they mean by them, these do not say. Each habit stands here once, with
 * the place that heeds it. `tests/system/katas_agent.ts` is an agent with these habits, `katas_clients_test.ts` beside it
 * and `testing/rust_spec.ts` here are such clients.
 *
 * | who | habit | heeded by |
 * |---|---|---|
 * | shim in Rust, `agent-ctl` | names namespaces as setns(2)'s files do | `namespaceType` here |
 * | the same | leaves out what is absent as 0: rules for any device, the error of a call | `isForAnyDevice` here, `resources_codec.ts` |
 * | the same | capabilities without `CAP_`, in older ones as JSON | `plainNames` here |
 * | the same | draws a stream id before it queues the message, so two may swap | `rpc/ttrpc/server_connection.ts` |
 * | shim in Go | does not wait for memory that it has plugged | `agent/machine/hotplug.ts` |
 * | shim in Go | calls the first process by the `exec_id` of CreateContainer | `agent/container/container.ts` |
 * | the same | looks for "not found" in errors of what is gone | NOT_FOUND of all of them |
 * | all clients | ask for words of metrics and files: items in small letters, KiB | `agent/machine/metrics.ts` |
 * | the same | take an absent termination log for an empty one | `agent/services/diagnostic.ts` |
 * | the same | listen and dial at `unix://@name` | `rpc/transport/address.ts` |
 * | agent | forgets a process with its output when WaitProcess is answered | `sandbox/container/process.ts` |
 * | agent | waits for a card if `devicePath` names its slots, by no other sign | `sandbox/agent/network.ts` |
 * | agent | makes the default device nodes itself, and fails on one that is there | `resources/devices/spec_devices.ts` |
 * | agent | brings CPUs online up to the number that the guest then has, as all shims tell it | `sandbox/machine/growth.ts`, `agent/machine/hotplug.ts` |
 * | agent | takes part of what WriteStdin brings | `sandbox/container/streams.ts` |
 *
 * @module
 */
import type { LinuxDeviceCgroup } from "../proto/oci_pb.ts";

const NAMESPACE_TYPES: Readonly<Record<string, string>> = { mnt: "mount", net: "network" };

/** A namespace's type as the specification spells it, of either spelling. */
export function namespaceType(word: string): string {
  return NAMESPACE_TYPES[word] ?? word;
}

const JSON_NAME = /^"(CAP_\w+)"$/;

/** Capabilities' names without the quotes of JSON, which all have or none: each exec has some seventy of them. */
export function plainNames(words: string[]): string[] {
  return JSON_NAME.test(words[0] ?? "") ? words.map((word) => word.replace(JSON_NAME, "$1")) : words;
}

/** Whether a rule that has no numbers was written with zeros: no device has the number 0:0. */
export function isForAnyDevice({ Major, Minor }: Pick<LinuxDeviceCgroup, "Major" | "Minor">): boolean {
  return Major === 0n && Minor === 0n;
}

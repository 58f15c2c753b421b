/**
 * The rate of an emulated guest's clock. Its time stamp counter is the host's own, whose rate the guest would have to find
 * out by looking at another clock meanwhile. If the host is busy, it does not run for long in between, and takes its clock
 * for so slow that it then runs several times too fast, for as long as it lives; and every clone of a template with it.
 *
 * @module
 */
import { TscMeasurement } from "../../linux/device/tsc.ts";

/** A microsecond's error in this time is a thousandth, of which there are ten readings to choose the best from. */
const LEAST_MS = 2;

/** @returns undefined where the guest knows better: KVM tells it, and on arm64 the counter's rate is in a register. */
export function startClockMeasurement(
  { accelerator, architecture }: { accelerator: "kvm" | "tcg"; architecture: typeof Deno.build.arch },
): TscMeasurement | undefined {
  const isNeeded = Deno.build.arch === "x86_64" && architecture === "x86_64" && accelerator === "tcg";
  return isNeeded ? new TscMeasurement() : undefined;
}

/** The rate as the kernel's command line takes it. */
export async function clockParams(measurement: TscMeasurement | undefined): Promise<readonly string[]> {
  if (measurement === undefined) return [];
  const missingMs = LEAST_MS - measurement.lastsMs;
  if (missingMs > 0) await new Promise((resolve) => setTimeout(resolve, missingMs));
  return [`tsc_early_khz=${measurement.frequency()}`];
}

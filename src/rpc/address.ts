import type { Duplex, Listener } from "./duplex.ts";

export function dial(_address: string, _options: { signal?: AbortSignal } = {}): Promise<Duplex> {
  throw new Error("Cannot dial: not written yet");
}

export function listen(_address: string): Listener {
  throw new Error("Cannot listen: not written yet");
}

import assert from "node:assert/strict";
import { shortenOverlay } from "./overlay.ts";

const SNAPSHOTS = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";

Deno.test("shortenOverlay() leaves short options as they are", () => {
  const data = `lowerdir=${SNAPSHOTS}/1/fs:${SNAPSHOTS}/2/fs,upperdir=/u,workdir=/w`;
  assert.deepEqual(shortenOverlay(data), { data });
});

Deno.test("shortenOverlay() makes the layers relative to the directory they share, and nothing else", () => {
  const layers = Array.from({ length: 100 }, (_, at) => `${SNAPSHOTS}/${at}/fs`);
  const data = `index=off,lowerdir=${layers.join(":")},upperdir=${SNAPSHOTS}/x/fs,workdir=${SNAPSHOTS}/x/work`;
  const relative = layers.map((_, at) => `${at}/fs`).join(":");
  assert.deepEqual(shortenOverlay(data), {
    directory: SNAPSHOTS,
    data: `index=off,lowerdir=${relative},upperdir=${SNAPSHOTS}/x/fs,workdir=${SNAPSHOTS}/x/work`,
  });
});

Deno.test("shortenOverlay() keeps what has no directory in common", () => {
  const layers = Array.from({ length: 300 }, (_, at) => `/layer-number-${at}`);
  const data = `lowerdir=${layers.join(":")}`;
  assert.deepEqual(shortenOverlay(data), { data });
});

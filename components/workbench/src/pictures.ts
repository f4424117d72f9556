// A picture that is pasted or dropped, on its way to Python: made small here, for a search needs no more.

const SIDE = 512; // px of the longer side; encoders read 224 to 384

/** The first picture among what was pasted or dropped; null where there is none. */
export function pictureIn(data: DataTransfer | null): File | null {
  return [...(data?.files ?? [])].find((file) => file.type.startsWith("image/")) ?? null;
}

/** Width and height of a picture that is made to fit; one that fits already keeps its own. */
export function fitted(width: number, height: number): [number, number] {
  const scale = Math.min(1, SIDE / Math.max(width, height, 1));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/** The picture as base64 of a PNG; null for what the browser cannot read. */
export async function encoded(file: Blob): Promise<string | null> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return null;
  }
  const [width, height] = fitted(bitmap.width, bitmap.height);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return canvas.toDataURL("image/png").split(",")[1] ?? null;
}

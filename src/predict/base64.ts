/**
 * A file of more bytes than these makes a text that no editor is pleasant with.
 */
export const MOST_BYTES = 4 * 2 ** 20;

/**
 * A file's bytes in base64.
 */
export async function asBase64(file: Blob): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = '';
  // A function takes so many arguments at most.
  for (let start = 0; start < bytes.length; start += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  }
  return btoa(text);
}

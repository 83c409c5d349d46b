/**
 * What the packages of JupyterLab expect of a browser, and jsdom does not have.
 */
import { TextDecoder, TextEncoder } from 'node:util';

class Observer {
  observe(): void {
    // There is no layout to observe.
  }
  unobserve(): void {
    // Nor anything to stop.
  }
  disconnect(): void {
    // Nor anything to let go of.
  }
}

Object.assign(globalThis, {
  DragEvent: class extends Event {},
  IntersectionObserver: Observer,
  ResizeObserver: Observer,
  matchMedia: (media: string) =>
    Object.assign(new EventTarget(), {
      matches: false,
      media,
      addListener: () => undefined,
      removeListener: () => undefined
    }),
  TextDecoder,
  TextEncoder
});

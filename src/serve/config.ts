import type { JSONValue, ServeBody } from '../api/types';
import { isObject } from '../api/types';

/**
 * What was set on a service beside what it serves, as a config: an update that starts from it changes nothing else.
 */
export function configOf(
  manifest: Record<string, JSONValue>
): NonNullable<ServeBody['config']> {
  const spec = isObject(manifest.spec) ? manifest.spec : {};
  const config: Record<string, JSONValue> = {};
  const notes = notesOf(manifest);
  if (Object.keys(notes).length > 0) {
    config.annotations = notes;
  }
  for (const component of ['predictor', 'transformer']) {
    const own = spec[component];
    if (!isObject(own)) {
      continue;
    }
    const { model, containers, ...rest } = own;
    const container = Array.isArray(containers) ? containers[0] : model;
    const kept = isObject(container) ? settingsOf(container) : {};
    if (Object.keys(kept).length > 0) {
      rest.container = kept;
    }
    if (Object.keys(rest).length > 0) {
      config[component] = rest;
    }
  }
  return config;
}

/**
 * KServe's own annotations of the service, but for the one that pauses it.
 */
function notesOf(
  manifest: Record<string, JSONValue>
): Record<string, JSONValue> {
  const metadata = isObject(manifest.metadata) ? manifest.metadata : {};
  const notes = isObject(metadata.annotations) ? metadata.annotations : {};
  return Object.fromEntries(
    Object.entries(notes).filter(
      ([name]) =>
        name.startsWith('serving.kserve.io/') &&
        name !== 'serving.kserve.io/stop'
    )
  );
}

/**
 * The container's settings that are the user's: not the image and variables that come of the artifact itself.
 */
function settingsOf(
  container: Record<string, JSONValue>
): Record<string, JSONValue> {
  const kept: Record<string, JSONValue> = {};
  for (const key of ['envFrom', 'resources']) {
    if (container[key] !== undefined) {
      kept[key] = container[key];
    }
  }
  const env = Array.isArray(container.env)
    ? container.env.filter(item => isObject(item) && !isOurs(item.name))
    : [];
  if (env.length > 0) {
    kept.env = env;
  }
  const { image } = container;
  if (typeof image === 'string' && !image.startsWith('kale-serve-ext/')) {
    kept.image = image;
  }
  return kept;
}

function isOurs(variable: JSONValue): boolean {
  return (
    typeof variable === 'string' &&
    /^(STORAGE_URI|PROTOCOL|KALE_SERVE_.*)$/.test(variable)
  );
}

import type { Service } from '../api/types';
import { refKey } from '../api/types';

/**
 * What of a service tells that something has happened to it: another text where it has. How far an upload is, and when
 * its processes were last seen, are none of it, and a list that says the same again is no news.
 */
export function newsOf(service: Service): string {
  const { ref, created, revision, serving_revision, phase, reason, restarts } =
    service;
  return JSON.stringify([
    refKey(ref),
    created,
    revision,
    serving_revision,
    phase,
    reason,
    restarts
  ]);
}

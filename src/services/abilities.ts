import type { Service } from '../api/types';

/**
 * What can be done with a service as it is now: the same for its row, its context menu and the palette.
 */
export function isEnding({ phase }: Service): boolean {
  return phase === 'Terminating';
}

/**
 * Whether there is nothing of the service yet but its upload, under way or failed.
 */
export function isToCome({ upload, revision }: Service): boolean {
  return upload !== null && revision === 0;
}

export function canTest(service: Service): boolean {
  return !isEnding(service) && !isToCome(service);
}

export function canShowLogs(service: Service): boolean {
  return !isToCome(service);
}

/**
 * Of what is only to come, its upload is cancelled.
 */
export function canDelete(service: Service): boolean {
  return !isEnding(service) && !isToCome(service);
}

/**
 * Whether there is an upload to cancel, or a failed one to dismiss.
 */
export function canCancelUpload({ upload }: Service): boolean {
  return upload !== null;
}

/**
 * Whether it is paused, or nothing runs it.
 */
export function isDown({ phase }: Service): boolean {
  return phase === 'Paused' || phase === 'Stopped';
}

export function canPause(service: Service): boolean {
  return service.can_pause && !isDown(service) && !isEnding(service);
}

export function canUpdate(service: Service): boolean {
  return Boolean(service.model?.id) && !isEnding(service) && !isToCome(service);
}

export function canRollBack(service: Service): boolean {
  return service.can_roll_back && !isEnding(service);
}

/**
 * Whether the newest version of several may get all the requests.
 */
export function canPromote(service: Service): boolean {
  return (
    isSplit(service) &&
    (service.phase === 'Ready' || service.phase === 'Idle') &&
    (service.shares.some(({ newest, percent }) => newest && percent < 100) ||
      isBeside(service))
  );
}

/**
 * Whether several versions of it share the requests.
 */
export function isSplit({ shares }: Service): boolean {
  return shares.length > 1 && shares.some(({ newest }) => newest);
}

/**
 * Whether the newest version runs beside the other whatever it gets, until one of them is chosen.
 */
export function isBeside({ mode }: Service): boolean {
  return mode === 'Standard';
}

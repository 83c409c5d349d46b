import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { IKaleServeSettings } from './tokens';

/**
 * The settings as they were set; what is not of its kind stays as it was.
 */
export function readSettings(
  composite: ReadonlyPartialJSONObject,
  before: IKaleServeSettings
): IKaleServeSettings {
  const { pollInterval, pageSize, logLines, notify } = composite;
  const number = (value: unknown, otherwise: number) =>
    typeof value === 'number' && value > 0 ? value : otherwise;
  return {
    pollInterval: number(pollInterval, before.pollInterval),
    pageSize: number(pageSize, before.pageSize),
    logLines: number(logLines, before.logLines),
    notify: typeof notify === 'boolean' ? notify : before.notify
  };
}

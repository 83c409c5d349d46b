import type { TranslationBundle } from '@jupyterlab/translation';
import type { ServedArtifact, Verification } from '../api/types';

/**
 * A model and its transformer by name and version.
 */
export function titleOf(
  {
    model,
    transformer
  }: { model: ServedArtifact | null; transformer: ServedArtifact | null },
  trans: TranslationBundle
): string {
  const [first, second] = [model, transformer].map(one =>
    !one
      ? ''
      : one.version
        ? trans.__('%1 v%2', one.name, one.version)
        : one.name
  );
  return first && second
    ? trans.__('%1 with %2', first, second)
    : first || second;
}

/**
 * What came of it, as a sentence.
 */
export function verificationWords(
  { ok, rows, different, skipped, error }: Verification,
  trans: TranslationBundle
): string {
  if (skipped === 'off') {
    return trans.__(
      'Recorded rows are not compared: comparison is switched off.'
    );
  }
  if (skipped) {
    return trans.__('Recorded rows were not compared: %1.', skipped);
  }
  if (error) {
    return trans._n(
      '%1 recorded row could not be answered',
      '%1 recorded rows could not be answered',
      rows
    );
  }
  return ok
    ? trans._n(
        '%1 recorded row answered as in the notebook',
        '%1 recorded rows answered as in the notebook',
        rows
      )
    : trans.__(
        '%1 of %2 recorded rows answered differently from the notebook',
        different,
        rows
      );
}

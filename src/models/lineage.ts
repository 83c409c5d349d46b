import type { TranslationBundle } from '@jupyterlab/translation';
import { ago } from '../components/moment';
import type { Lineage, LineageStep } from '../api/types';
import { refKey } from '../api/types';

/**
 * An artifact's story in sentences, the oldest first.
 *
 * @param running Services that are told of elsewhere.
 */
export function lineageOf(
  lineage: Lineage,
  running: ReadonlySet<string>,
  trans: TranslationBundle
): string[] {
  const made = lineage.produced_by.map(step => madeWords(step, trans));
  const inputs = lineage.produced_by
    .flatMap(step => step.inputs)
    .map(id => lineage.related[String(id)])
    .filter(artifact => artifact !== undefined)
    .map(artifact =>
      trans.__('From %1 %2', artifact.name, artifact.version).trim()
    );
  const served = lineage.consumed_by
    .filter(({ service, state }) =>
      state === 'RUNNING'
        ? service !== null && !running.has(refKey(service))
        : service !== null
    )
    .map(step => servedWords(step, trans));
  return [...new Set([...made, ...inputs, ...served])];
}

function madeWords(step: LineageStep, trans: TranslationBundle): string {
  const where = step.context || step.name;
  const when = step.started > 0 ? ago(step.started) : '';
  const what =
    step.type === 'kale.Log'
      ? where
        ? trans.__('Logged in %1', where)
        : trans.__('Logged')
      : trans.__('Made by %1', where || step.type);
  return when ? `${what}, ${when}` : what;
}

function servedWords(step: LineageStep, trans: TranslationBundle): string {
  const name = step.service?.name ?? '';
  return step.state === 'RUNNING'
    ? trans.__('Served as %1', name)
    : trans.__('Was served as %1', name);
}

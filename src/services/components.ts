import type { TranslationBundle } from '@jupyterlab/translation';
import type { Service } from '../api/types';

/**
 * A component as a title.
 */
export function componentWord(
  component: string,
  trans: TranslationBundle
): string {
  switch (component) {
    case 'predictor':
      return trans.__('Predictor');
    case 'transformer':
      return trans.__('Transformer');
    case 'explainer':
      return trans.__('Explainer');
    default:
      return component;
  }
}

/**
 * How many replicas of each component are ready: `1 predictor, 1 of 2 transformers`.
 */
export function replicaWords(
  replicas: Service['replicas'],
  trans: TranslationBundle
): string {
  return replicas
    .map(({ component, ready, wanted }) => {
      const counted = countWords(component, wanted, trans);
      return ready === wanted ? counted : trans.__('%1 of %2', ready, counted);
    })
    .join(', ');
}

function countWords(
  component: string,
  count: number,
  trans: TranslationBundle
): string {
  switch (component) {
    case 'transformer':
      return trans._n('%1 transformer', '%1 transformers', count);
    case 'explainer':
      return trans._n('%1 explainer', '%1 explainers', count);
    default:
      return trans._n('%1 predictor', '%1 predictors', count);
  }
}

import type { TranslationBundle } from '@jupyterlab/translation';

/**
 * What an estimator's method answers, in plain words, with its name.
 *
 * @param methods - those that the model has: where it tells probabilities, its predictions are classes.
 */
export function methodWords(
  method: string,
  trans: TranslationBundle,
  methods: readonly string[] = []
): string {
  const words = wordsOf(method, methods, trans);
  return words ? trans.__('%1 (%2)', words, method) : method;
}

function wordsOf(
  method: string,
  methods: readonly string[],
  trans: TranslationBundle
): string {
  switch (method) {
    case 'predict':
      return methods.includes('predict_proba')
        ? trans.__('Classes')
        : trans.__('Predictions');
    case 'predict_proba':
      return trans.__('Probabilities');
    case 'predict_log_proba':
      return trans.__('Log probabilities');
    case 'decision_function':
      return trans.__('Decision values');
    case 'transform':
      return trans.__('Transformed rows');
    case 'score_samples':
      return trans.__('Scores of the rows');
    default:
      return '';
  }
}

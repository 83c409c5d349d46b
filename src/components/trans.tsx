import type { TranslationBundle } from '@jupyterlab/translation';
import { nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';

/**
 * The words of the user's language, for every component below.
 */
export const TransContext: React.Context<TranslationBundle> =
  React.createContext(nullTranslator.load('kale_serve_ext'));

export function useTrans(): TranslationBundle {
  return React.useContext(TransContext);
}

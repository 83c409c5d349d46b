import * as React from 'react';
import { Note } from '../components/note';
import { useTrans } from '../components/trans';
import type { ServeFormModel } from './model';

/**
 * What has to be installed before the chosen runtime can serve: how large it is, a button that installs it, and how far
 * that is.
 */
export function SetupNote({
  model
}: {
  model: ServeFormModel;
}): JSX.Element | null {
  const trans = useTrans();
  const { setup } = model;
  if (!setup) {
    return null;
  }
  const { title, megabytes, state, message, hint } = setup;
  if (state === 'installing') {
    return (
      <div className="jp-KaleSetup" role="status">
        <div className="jp-KaleSetup-message">
          {message || trans.__('Installing %1…', title)}
        </div>
        <progress aria-label={trans.__('Installing %1', title)} />
        <button
          type="button"
          className="jp-KaleButton jp-mod-plain"
          onClick={() => void model.cancelSetup()}
        >
          {trans.__('Cancel installation')}
        </button>
      </div>
    );
  }
  const hasFailed = state === 'failed';
  return (
    <Note
      level={hasFailed ? 'error' : 'info'}
      isAlert={hasFailed}
      message={
        hasFailed
          ? message
          : state === 'outdated'
            ? trans.__(
                '%1 was set up by another release and has to be installed anew.',
                title
              )
            : trans.__('%1 is not set up on this machine yet.', title)
      }
      hint={
        hasFailed ? hint : trans.__('It takes about %1 MB.', String(megabytes))
      }
    >
      <button
        type="button"
        className="jp-KaleButton jp-mod-accept jp-KaleSetup-button"
        onClick={() => void model.setUp()}
      >
        {hasFailed ? trans.__('Try again') : trans.__('Set up')}
      </button>
    </Note>
  );
}

import * as React from 'react';
import { ErrorNote, Note } from '../components/note';
import { useTrans } from '../components/trans';
import type { SetupModel } from '../environments/setup';

/**
 * What has to be installed before the chosen runtime can serve: how large it is, a button that installs it, and how far
 * that is.
 *
 * The button that has the focus in one state is gone in the next: the focus stays in the note, and leaves it for `next`.
 */
export function SetupNote(props: {
  model: SetupModel;
  /**
   * Where the focus goes when nothing is lacking any more.
   */
  next: React.RefObject<HTMLElement>;
}): JSX.Element | null {
  const { model, next } = props;
  const note = React.useRef<HTMLDivElement>(null);
  const hasFocus = React.useRef(false);
  React.useLayoutEffect(() => {
    if (!hasFocus.current || note.current?.contains(document.activeElement)) {
      return;
    }
    const button = '.jp-KaleSetup-button';
    const target = note.current
      ? (note.current.querySelector<HTMLElement>(button) ?? note.current)
      : next.current;
    hasFocus.current = note.current !== null;
    target?.focus();
  });
  if (!model.lacks) {
    return null;
  }
  return (
    <div
      ref={note}
      tabIndex={-1}
      role="group"
      aria-label={model.lacks.title}
      className="jp-KaleSetup"
      onFocus={() => {
        hasFocus.current = true;
      }}
      onBlur={() => {
        hasFocus.current = false;
      }}
    >
      {model.lacks.state === 'installing' ? (
        <Installing model={model} />
      ) : (
        <Lacking model={model} />
      )}
    </div>
  );
}

function Installing({ model }: { model: SetupModel }): JSX.Element | null {
  const trans = useTrans();
  if (!model.lacks) {
    return null;
  }
  const { title, message, cancellable } = model.lacks;
  return (
    <>
      <div className="jp-KaleSetup-progress" role="status">
        <div className="jp-KaleSetup-message">
          {message || trans.__('Installing %1…', title)}
        </div>
        <progress aria-label={trans.__('Installing %1', title)} />
        {cancellable && (
          <button
            type="button"
            className="jp-KaleButton jp-mod-plain"
            onClick={() => void model.cancel()}
          >
            {trans.__('Cancel installation')}
          </button>
        )}
      </div>
      {model.error && <ErrorNote error={model.error} />}
    </>
  );
}

function Lacking({ model }: { model: SetupModel }): JSX.Element | null {
  const trans = useTrans();
  if (!model.lacks) {
    return null;
  }
  const { title, megabytes, state, message, hint } = model.lacks;
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
        onClick={() => void model.install()}
      >
        {hasFailed ? trans.__('Try again') : trans.__('Set up')}
      </button>
    </Note>
  );
}

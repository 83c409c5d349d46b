import * as React from 'react';
import type { ApiError } from '../api/errors';
import type { GlyphName } from './glyph';
import { Glyph } from './glyph';
import { useTrans } from './trans';

export type NoteLevel = 'error' | 'warning' | 'info' | 'ok';

const GLYPHS: Record<NoteLevel, GlyphName> = {
  error: 'cross',
  warning: 'warning',
  info: 'info',
  ok: 'check'
};

/**
 * What happened, and what to do about it, where it happened.
 */
export function Note(props: {
  level: NoteLevel;
  message: string;
  hint?: string;
  id?: string;
  /**
   * Read out at once by screen readers.
   */
  isAlert?: boolean;
  onDismiss?: () => void;
  children?: React.ReactNode;
}): JSX.Element {
  const trans = useTrans();
  return (
    <div
      id={props.id}
      className={`jp-KaleNote jp-mod-${props.level}`}
      role={props.isAlert ? 'alert' : undefined}
    >
      <Glyph name={GLYPHS[props.level]} />
      <div className="jp-KaleNote-text">
        <div className="jp-KaleNote-message">{props.message}</div>
        {props.hint && <div className="jp-KaleNote-hint">{props.hint}</div>}
        {props.children}
      </div>
      {props.onDismiss && (
        <button
          type="button"
          className="jp-KaleButton jp-mod-icon-only"
          aria-label={trans.__('Dismiss')}
          title={trans.__('Dismiss')}
          onClick={props.onDismiss}
        >
          <Glyph name="cross" />
        </button>
      )}
    </div>
  );
}

export function ErrorNote(props: {
  error: ApiError;
  onDismiss?: () => void;
  onRetry?: () => void;
  children?: React.ReactNode;
}): JSX.Element {
  const trans = useTrans();
  return (
    <Note
      level="error"
      isAlert
      message={props.error.message}
      hint={props.error.hint}
      onDismiss={props.onDismiss}
    >
      {props.children}
      {props.onRetry && (
        <button
          type="button"
          className="jp-KaleButton jp-mod-plain jp-KaleNote-retry"
          onClick={props.onRetry}
        >
          {trans.__('Try again')}
        </button>
      )}
    </Note>
  );
}

import { Clipboard } from '@jupyterlab/apputils';
import * as React from 'react';
import type { GlyphName } from './glyph';
import { Glyph } from './glyph';
import { useTrans } from './trans';

/**
 * A small button with a drawing and its word; in a narrow panel the word is for screen readers and the tooltip only.
 */
export function ActionButton(props: {
  label: string;
  glyph: GlyphName;
  onClick: () => void;
  disabled?: boolean;
  /**
   * The label with what it acts on, for those who do not see where it stands.
   */
  name?: string;
  title?: string;
  /**
   * Whether it is one of a row's controls that arrow keys go through.
   */
  isRoving?: boolean;
  kind?: 'plain' | 'accept' | 'warn';
}): JSX.Element {
  const { label, glyph, onClick, disabled, name, title, isRoving } = props;
  return (
    <button
      type="button"
      className={`jp-KaleButton jp-mod-${props.kind ?? 'plain'}`}
      data-roving={isRoving ? '' : undefined}
      aria-label={name ?? label}
      title={title ?? label}
      disabled={disabled}
      onClick={onClick}
    >
      <Glyph name={glyph} />
      <span className="jp-KaleButton-label">{label}</span>
    </button>
  );
}

/**
 * Shows the secrets beside it, or hides them again.
 */
export function SecretsButton(props: {
  isOpen: boolean;
  onClick: () => void;
}): JSX.Element {
  const trans = useTrans();
  return (
    <button
      type="button"
      className="jp-KaleButton jp-mod-plain"
      onClick={props.onClick}
    >
      {props.isOpen
        ? trans.__('Hide secret values')
        : trans.__('Show secret values')}
    </button>
  );
}

/**
 * Copies a text, and says so for a moment.
 */
export function CopyButton(props: {
  text: string;
  label: string;
  iconOnly?: boolean;
}): JSX.Element {
  const trans = useTrans();
  const [isCopied, setCopied] = React.useState(false);
  React.useEffect(() => {
    if (!isCopied) {
      return;
    }
    const timer = window.setTimeout(() => setCopied(false), 1500);
    return () => window.clearTimeout(timer);
  }, [isCopied]);
  return (
    <>
      <button
        type="button"
        className={`jp-KaleButton ${props.iconOnly ? 'jp-mod-icon-only' : 'jp-mod-plain'}`}
        aria-label={props.iconOnly ? props.label : undefined}
        title={isCopied ? trans.__('Copied') : props.label}
        onClick={() => {
          Clipboard.copyToSystem(props.text);
          setCopied(true);
        }}
      >
        <Glyph name={isCopied ? 'check' : 'copy'} />
        {!props.iconOnly && (
          // Both are there, one is shown: the button keeps its width, and nothing beside it moves.
          <span className="jp-KaleButton-label jp-KaleButton-either">
            <span
              className={isCopied ? 'jp-mod-away' : ''}
              aria-hidden={isCopied}
            >
              {props.label}
            </span>
            <span
              className={isCopied ? '' : 'jp-mod-away'}
              aria-hidden={!isCopied}
            >
              {trans.__('Copied')}
            </span>
          </span>
        )}
      </button>
      <span role="status" className="jp-KaleHidden">
        {isCopied && trans.__('Copied')}
      </span>
    </>
  );
}

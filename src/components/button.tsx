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
   * Id of an element that says what it acts on.
   */
  describedBy?: string;
  title?: string;
  kind?: 'plain' | 'accept' | 'warn';
}): JSX.Element {
  const { label, glyph, onClick, disabled, describedBy, title } = props;
  return (
    <button
      type="button"
      className={`jp-KaleButton jp-mod-${props.kind ?? 'plain'}`}
      aria-label={label}
      aria-describedby={describedBy}
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
    <button
      type="button"
      className={`jp-KaleButton ${props.iconOnly ? 'jp-mod-icon-only' : 'jp-mod-plain'}`}
      aria-label={props.label}
      title={isCopied ? trans.__('Copied') : props.label}
      onClick={() => {
        Clipboard.copyToSystem(props.text);
        setCopied(true);
      }}
    >
      <Glyph name={isCopied ? 'check' : 'copy'} />
      {!props.iconOnly && (
        <span className="jp-KaleButton-label">
          {isCopied ? trans.__('Copied') : props.label}
        </span>
      )}
    </button>
  );
}

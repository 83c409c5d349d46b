import * as React from 'react';
import { Glyph } from './glyph';

/**
 * A button that shows and hides what follows it.
 */
export function Disclosure(props: {
  label: React.ReactNode;
  isOpen: boolean;
  controls?: string;
  className?: string;
  id?: string;
  /**
   * The whole of a label that may be cut off.
   */
  title?: string;
  /**
   * Whether it is one of a row's controls that arrow keys go through.
   */
  isRoving?: boolean;
  onToggle: () => void;
}): JSX.Element {
  return (
    <button
      type="button"
      id={props.id}
      data-roving={props.isRoving ? '' : undefined}
      title={props.title}
      className={`jp-KaleDisclosure ${props.className ?? ''}`}
      aria-expanded={props.isOpen}
      aria-controls={props.isOpen ? props.controls : undefined}
      onClick={props.onToggle}
    >
      <Glyph name="caret" />
      <span className="jp-KaleDisclosure-label">{props.label}</span>
    </button>
  );
}

/**
 * The same, keeping its own state.
 */
export function Fold(props: {
  label: string;
  children: React.ReactNode;
}): JSX.Element {
  const [isOpen, setOpen] = React.useState(false);
  const id = React.useId();
  return (
    <div className="jp-KaleFold">
      <Disclosure
        label={props.label}
        isOpen={isOpen}
        controls={id}
        onToggle={() => setOpen(!isOpen)}
      />
      {isOpen && (
        <div className="jp-KaleFold-content" id={id}>
          {props.children}
        </div>
      )}
    </div>
  );
}

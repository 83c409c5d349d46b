import * as React from 'react';
import type { NoteLevel } from './note';
import { Note } from './note';

export interface IFieldNote {
  level: NoteLevel;
  message: string;
  hint?: string;
}

/**
 * What a control needs to be tied to its label and notes.
 */
export interface IControlProps {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': boolean;
}

/**
 * A label, its control, and what there is to say about it.
 */
export function Field(props: {
  label: string;
  help?: React.ReactNode;
  notes?: readonly IFieldNote[];
  children: (control: IControlProps) => React.ReactNode;
}): JSX.Element {
  const { label, help, notes = [], children } = props;
  const id = React.useId();
  const described = [
    help ? `${id}-help` : '',
    notes.length ? `${id}-notes` : ''
  ]
    .filter(Boolean)
    .join(' ');
  return (
    <div className="jp-KaleField">
      <label htmlFor={id}>{label}</label>
      {children({
        id,
        'aria-describedby': described || undefined,
        'aria-invalid': notes.some(note => note.level === 'error')
      })}
      {help && (
        <div className="jp-KaleField-help" id={`${id}-help`}>
          {help}
        </div>
      )}
      {notes.length > 0 && (
        <div className="jp-KaleField-notes" id={`${id}-notes`}>
          {notes.map((note, index) => (
            <Note key={index} {...note} />
          ))}
        </div>
      )}
    </div>
  );
}

import * as React from 'react';
import { Field } from '../components/field';
import { Note } from '../components/note';
import { useTrans } from '../components/trans';
import { methodWords } from '../services/methods';
import type { ServeFormModel } from './model';

/**
 * What the model answers, where there is a choice: its classes, their probabilities, …
 */
export function MethodSelect({
  model
}: {
  model: ServeFormModel;
}): JSX.Element | null {
  const trans = useTrans();
  const { plan, method } = model;
  const methods = plan?.methods ?? [];
  const notes = model.fieldChecks('method');
  const isChosen = method !== '' && method !== 'predict';
  const hasChoice =
    methods.length > 1 || (methods.length === 1 && methods[0] !== 'predict');
  if (!hasChoice && !isChosen && notes.length === 0) {
    return null;
  }
  return (
    <Field
      label={trans.__('Answer')}
      notes={notes}
      help={trans.__("Which of the model's methods answers requests.")}
    >
      {control => (
        <select
          {...control}
          className="jp-mod-styled"
          value={method}
          onChange={event => {
            model.method = event.target.value;
          }}
        >
          <option value="">
            {plan?.method && !method
              ? trans.__(
                  'Automatic: %1',
                  methodWords(plan.method, trans, methods)
                )
              : trans.__('Automatic')}
          </option>
          {method && !methods.includes(method) && (
            <option value={method}>{methodWords(method, trans)}</option>
          )}
          {methods.map(name => (
            <option key={name} value={name}>
              {methodWords(name, trans, methods)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/**
 * Whether only a version that answers as recorded may take over; where rows are recorded.
 */
export function RequireChoice({
  model
}: {
  model: ServeFormModel;
}): JSX.Element | null {
  const trans = useTrans();
  const id = React.useId();
  const { recordedRows } = model;
  const notes = model.fieldChecks('verify');
  if (recordedRows === 0 && notes.length === 0) {
    return null;
  }
  return (
    <div className="jp-KaleField">
      <label className="jp-KaleField-choice">
        <input
          type="checkbox"
          checked={model.isRequired}
          aria-describedby={id}
          aria-invalid={notes.some(note => note.level === 'error')}
          onChange={event => {
            model.isRequired = event.target.checked;
          }}
        />
        {trans.__('Require the recorded answers')}
      </label>
      <div id={id}>
        {recordedRows > 0 && (
          <div className="jp-KaleField-help">
            {trans.__(
              'A new version takes over only if it answers the recorded rows (%1) as in the notebook. If unchecked, differences are only a warning.',
              recordedRows
            )}
          </div>
        )}
        {notes.length > 0 && (
          <div className="jp-KaleField-notes">
            {notes.map((note, index) => (
              <Note key={index} {...note} />
            ))}
          </div>
        )}
      </div>
    </div>
  );
}

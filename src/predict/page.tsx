import * as React from 'react';
import type { TensorSpec } from '../api/types';
import { Choice } from '../components/choice';
import { useTrans } from '../components/trans';
import { AnswerView } from './answer';
import type { ISending } from './sending';

/**
 * A form, what sends it, and the answer beside it.
 */
export function RequestPage(props: {
  sending: ISending;
  /**
   * The outputs that the answer has by name, where they are known.
   */
  outputs?: readonly TensorSpec[];
  onSend: () => void;
  onLogs: () => void;
  children: React.ReactNode;
}): JSX.Element {
  const trans = useTrans();
  const { sending, onSend } = props;
  return (
    <div className="jp-KalePredict-columns">
      <form
        className="jp-KalePredict-form"
        noValidate
        onSubmit={event => {
          event.preventDefault();
          onSend();
        }}
        onKeyDown={event => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            onSend();
          }
        }}
      >
        {props.children}
        <div className="jp-KalePredict-send">
          <button
            type="submit"
            className="jp-mod-styled jp-mod-accept"
            disabled={sending.isWaiting}
          >
            {trans.__('Send')}
          </button>
          {sending.isWaiting && (
            <button
              type="button"
              className="jp-mod-styled jp-mod-reject"
              onClick={sending.cancel}
            >
              {trans.__('Cancel')}
            </button>
          )}
        </div>
      </form>
      <AnswerView
        answer={sending.answer}
        error={sending.error}
        isWaiting={sending.isWaiting}
        outputs={props.outputs}
        onLogs={props.onLogs}
      />
    </div>
  );
}

/**
 * How a request is written.
 */
export type Mode = 'form' | 'json';

/**
 * Chooses between the form and JSON.
 */
export function ModeChoice(props: {
  value: Mode;
  onChange: (mode: Mode) => void;
}): JSX.Element {
  const trans = useTrans();
  return (
    <Choice<Mode>
      label={trans.__('Request as')}
      value={props.value}
      options={[
        ['form', trans.__('Form')],
        ['json', trans.__('JSON')]
      ]}
      onChange={props.onChange}
    />
  );
}

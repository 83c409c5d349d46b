import * as React from 'react';
import type { KaleServeClient } from '../api/client';
import { ApiError } from '../api/errors';
import type {
  JSONValue,
  PredictBody,
  Prediction,
  ServiceRef,
  Signature
} from '../api/types';
import { Choice } from '../components/choice';
import { Field } from '../components/field';
import { useTrans } from '../components/trans';
import { AnswerView } from './answer';
import { InputFields } from './fields';
import {
  asText,
  fieldsOf,
  parseJSON,
  rawRequest,
  rowOf,
  rowOfSample,
  sampleTexts
} from './form';

type Mode = 'form' | 'json';

/**
 * The request, as a form or as JSON, and its answer.
 */
export function RequestForm(props: {
  client: KaleServeClient;
  target: ServiceRef;
  component: '' | 'predictor';
  protocol: string;
  signature: Signature | null;
}): JSX.Element {
  const trans = useTrans();
  const { client, target, component, protocol, signature } = props;
  const fields = React.useMemo(() => fieldsOf(signature), [signature]);
  const [mode, setMode] = React.useState<Mode>(signature ? 'form' : 'json');
  const [texts, setTexts] = React.useState(() =>
    sampleTexts(signature, fields ?? [])
  );
  const [rowText, setRowText] = React.useState(() =>
    asText(rowOfSample(signature) ?? [])
  );
  const [rawText, setRawText] = React.useState(() =>
    asText(rawRequest(protocol, signature, null))
  );
  const [isTried, setTried] = React.useState(false);
  const [request, setRequest] = React.useState<AbortController | null>(null);
  const [answer, setAnswer] = React.useState<Prediction | null>(null);
  const [error, setError] = React.useState<ApiError | null>(null);

  const typed = fields ? rowOf(signature, fields, texts) : null;
  const row = parseJSON(rowText);
  const raw = parseJSON(rawText);
  const body = bodyOf();

  React.useEffect(() => () => request?.abort(), [request]);

  function bodyOf(): PredictBody | null {
    if (mode === 'json') {
      return raw.problem === null && raw.value !== null
        ? { raw: raw.value, component }
        : null;
    }
    if (typed) {
      return typed.wrong ? null : { rows: [typed.row], component };
    }
    return row.problem === null ? { rows: [row.value], component } : null;
  }

  async function send() {
    setTried(true);
    if (!body) {
      return;
    }
    const sending = new AbortController();
    setRequest(sending);
    try {
      const given = await client.predict(target, body, sending.signal);
      setAnswer(given);
      setError(null);
    } catch (reason) {
      if (!sending.signal.aborted) {
        setError(ApiError.from(reason, trans));
        setAnswer(null);
      }
    } finally {
      setRequest(current => (current === sending ? null : current));
    }
  }

  function change(next: Mode) {
    if (next === 'json' && mode === 'form') {
      // What was filled in is not lost on the way.
      const filled: JSONValue = typed ? typed.row : row.value;
      if (filled !== null) {
        setRawText(asText(rawRequest(protocol, signature, filled)));
      }
    }
    setMode(next);
    setTried(false);
  }

  return (
    <div className="jp-KalePredict-columns">
      <form
        className="jp-KalePredict-form"
        noValidate
        onSubmit={event => {
          event.preventDefault();
          void send();
        }}
        onKeyDown={event => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            void send();
          }
        }}
      >
        {signature && (
          <Choice<Mode>
            label={trans.__('Request as')}
            value={mode}
            options={[
              ['form', trans.__('Form')],
              ['json', trans.__('JSON')]
            ]}
            onChange={change}
          />
        )}
        {mode === 'form' && fields && (
          <InputFields
            fields={fields}
            texts={texts}
            wrong={isTried ? (typed?.wrong ?? null) : null}
            onChange={setTexts}
          />
        )}
        {mode === 'form' && !fields && (
          <JSONField
            label={trans.__('Row')}
            help={trans.__('One row as JSON, such as the sample.')}
            text={rowText}
            problem={row.problem}
            onChange={setRowText}
          />
        )}
        {mode === 'json' && (
          <JSONField
            label={trans.__('Request body')}
            help={
              signature
                ? trans.__('Sent as it is.')
                : trans.__(
                    'Sent as it is. The model was logged without a signature.'
                  )
            }
            text={rawText}
            problem={raw.problem}
            onChange={setRawText}
          />
        )}
        <div className="jp-KalePredict-send">
          <button
            type="submit"
            className="jp-mod-styled jp-mod-accept"
            disabled={request !== null}
          >
            {trans.__('Send')}
          </button>
          {request && (
            <button
              type="button"
              className="jp-mod-styled jp-mod-reject"
              onClick={() => request.abort()}
            >
              {trans.__('Cancel')}
            </button>
          )}
        </div>
      </form>
      <AnswerView answer={answer} error={error} isWaiting={request !== null} />
    </div>
  );
}

function JSONField(props: {
  label: string;
  help: string;
  text: string;
  problem: string | null;
  onChange: (text: string) => void;
}): JSX.Element {
  const trans = useTrans();
  const { text, problem } = props;
  return (
    <Field
      label={props.label}
      help={props.help}
      notes={
        problem !== null
          ? [
              {
                level: 'error',
                message: trans.__('This is not valid JSON.'),
                hint: problem
              }
            ]
          : []
      }
    >
      {control => (
        <textarea
          {...control}
          className="jp-mod-styled jp-KaleTextArea"
          value={text}
          rows={Math.min(24, Math.max(6, text.split('\n').length + 1))}
          spellCheck={false}
          onChange={event => props.onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

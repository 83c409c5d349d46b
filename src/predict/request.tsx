import * as React from 'react';
import type { KaleServeClient } from '../api/client';
import type { PredictBody, ServiceRef, Signature } from '../api/types';
import { Note } from '../components/note';
import { useTrans } from '../components/trans';
import { rawRequest, rowOfRequest } from './body';
import { InputFields } from './fields';
import {
  asText,
  fieldsOf,
  problemOf,
  rowOf,
  sampleRow,
  sampleTexts,
  textsOf
} from './form';
import { JSONField } from './jsonfield';
import type { Mode } from './page';
import { ModeChoice, RequestPage } from './page';
import { useSending } from './sending';
import type { JSONText } from './text';
import { list, readJSON, writeJSON } from './text';

/**
 * The request, as a form or as JSON, and its answer.
 */
export function RequestForm(props: {
  client: KaleServeClient;
  target: ServiceRef;
  component: '' | 'predictor';
  protocol: string;
  signature: Signature | null;
  onLogs: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { client, target, component, protocol, signature } = props;
  const fields = React.useMemo(() => fieldsOf(signature), [signature]);
  const [mode, setMode] = React.useState<Mode>(signature ? 'form' : 'json');
  const [texts, setTexts] = React.useState(() =>
    sampleTexts(signature, fields ?? [])
  );
  const [rowText, setRowText] = React.useState(() =>
    asText(sampleRow(signature) ?? list([]))
  );
  const [rawText, setRawText] = React.useState(() =>
    asText(rawRequest(protocol, signature, null))
  );
  // The row that both modes hold, and whether the JSON is one that the form does not.
  const [shared, setShared] = React.useState('');
  const [isKept, setKept] = React.useState(false);
  const [isTried, setTried] = React.useState(false);
  const sending = useSending(client, target);

  const typed = fields ? rowOf(signature, fields, texts) : null;
  const rowProblem = problemOf(rowText);
  const rawProblem = problemOf(rawText);
  const body = bodyOf();

  // All of it goes as text: numbers are not what JavaScript makes of them.
  function bodyOf(): PredictBody | null {
    if (mode === 'json') {
      return rawProblem === null ? { raw: rawText, component } : null;
    }
    if (typed) {
      return typed.wrong
        ? null
        : { rows: `[${writeJSON(typed.row)}]`, component };
    }
    return rowProblem === null ? { rows: `[${rowText}]`, component } : null;
  }

  function send() {
    setTried(true);
    void sending.send(body);
  }

  // Nothing that was typed is lost on the way, in neither direction: what the other mode cannot hold stays in its own.
  function change(next: Mode) {
    if (next === 'json') {
      const filled = filledIn();
      if (filled !== null && writeJSON(filled) !== shared) {
        setRawText(asText(rawRequest(protocol, signature, filled)));
        setShared(writeJSON(filled));
      }
      setKept(false);
    } else {
      const row = rowOfRequest(protocol, rawText);
      const taken = row && fillIn(row);
      setKept(!taken);
      if (taken) {
        setShared(writeJSON(taken));
      }
    }
    setMode(next);
    setTried(false);
  }

  /**
   * The form's row; null while something in it is wrong.
   */
  function filledIn(): JSONText | null {
    if (typed) {
      return typed.row;
    }
    return rowProblem === null ? readJSON(rowText) : null;
  }

  /**
   * Put a row into the form, and tell what the form makes of it; null where it cannot hold the row.
   */
  function fillIn(row: JSONText): JSONText | null {
    if (!fields) {
      setRowText(asText(row));
      return row;
    }
    const found = textsOf(fields, row);
    setTexts(found ?? texts);
    return found && rowOf(signature, fields, found).row;
  }

  return (
    <RequestPage sending={sending} onSend={send} onLogs={props.onLogs}>
      {signature && <ModeChoice value={mode} onChange={change} />}
      {mode === 'form' && isKept && (
        <Note
          level="info"
          message={trans.__('The JSON is not one row of these fields.')}
          hint={trans.__('It is kept until something here is changed.')}
        />
      )}
      {mode === 'form' && fields && (
        <InputFields
          fields={fields}
          texts={texts}
          wrong={isTried ? (typed?.wrong ?? null) : null}
          onChange={changed => {
            setTexts(changed);
            setKept(false);
          }}
        />
      )}
      {mode === 'form' && !fields && (
        <JSONField
          label={trans.__('Row')}
          help={trans.__('One row as JSON, such as the sample.')}
          text={rowText}
          problem={rowProblem}
          onChange={changed => {
            setRowText(changed);
            setKept(false);
          }}
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
          problem={rawProblem}
          onChange={setRawText}
        />
      )}
    </RequestPage>
  );
}

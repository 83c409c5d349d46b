import * as React from 'react';
import type { KaleServeClient } from '../../api/client';
import type {
  JSONValue,
  PredictBody,
  ServiceRef,
  TensorSpec
} from '../../api/types';
import { Note } from '../../components/note';
import { useTrans } from '../../components/trans';
import { asText, problemOf } from '../form';
import { JSONField } from '../jsonfield';
import type { Mode } from '../page';
import { ModeChoice, RequestPage } from '../page';
import { useSending } from '../sending';
import { list, object, writeJSON } from '../text';
import { hasForm, initialValues, requestOf, tensorsOf, valuesOf } from './form';
import { TensorInput } from './input';

/**
 * A request of named tensors, input by input or as JSON, and its answer.
 */
export function TensorForm(props: {
  client: KaleServeClient;
  target: ServiceRef;
  component: '' | 'predictor';
  protocol: string;
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
  sample: JSONValue;
  onLogs: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { client, target, component, protocol, inputs, outputs } = props;
  const [mode, setMode] = React.useState<Mode>('form');
  const [values, setValues] = React.useState(() =>
    initialValues(inputs, props.sample)
  );
  const [rawText, setRawText] = React.useState('');
  // The request that both modes hold, and whether the JSON is one that the form does not.
  const [shared, setShared] = React.useState('');
  const [isKept, setKept] = React.useState(false);
  const [isTried, setTried] = React.useState(false);
  const sending = useSending(client, target);

  const read = React.useMemo(() => tensorsOf(inputs, values), [inputs, values]);
  const filled = React.useMemo(
    () => read.tensors && requestOf(protocol, inputs, read.tensors),
    [protocol, inputs, read]
  );
  const rawProblem = mode === 'json' ? problemOf(rawText) : null;
  const hasRows = read.tensors === null || filled !== null;

  function send() {
    setTried(true);
    void sending.send(bodyOf());
  }

  // All of it goes as text: numbers are not what JavaScript makes of them.
  function bodyOf(): PredictBody | null {
    if (mode === 'json') {
      return rawProblem === null ? { raw: rawText, component } : null;
    }
    return filled && { raw: writeJSON(filled), component };
  }

  // Nothing that was typed is lost on the way, in neither direction: what the other mode cannot hold stays in its own.
  function change(next: Mode) {
    if (next === 'json') {
      const written = filled && asText(filled);
      if (written !== null && written !== shared) {
        setRawText(written);
        setShared(written);
      } else if (!rawText) {
        setRawText(asText(skeleton(protocol)));
      }
      setKept(false);
    } else {
      const found =
        rawText === shared ? values : valuesOf(protocol, inputs, rawText);
      setKept(!found);
      if (found) {
        setValues(found);
        setShared(rawText);
      }
    }
    setMode(next);
    setTried(false);
  }

  return (
    <RequestPage
      sending={sending}
      outputs={outputs}
      onSend={send}
      onLogs={props.onLogs}
    >
      <ModeChoice value={mode} onChange={change} />
      {!hasForm(protocol, [...inputs, ...outputs]) && (
        <Note
          level="warning"
          message={trans.__(
            'Protocol v2 cannot represent float16 in JSON, and servers may refuse it.'
          )}
          hint={trans.__('Endpoint.predict sends it in binary form.')}
        />
      )}
      {mode === 'form' && isKept && (
        <Note
          level="info"
          message={trans.__('The JSON cannot be shown in the form.')}
          hint={trans.__('It is kept until something here is changed.')}
        />
      )}
      {mode === 'form' &&
        inputs.map((spec, index) => (
          <TensorInput
            key={spec.name}
            spec={spec}
            value={values[index]}
            wrong={isTried ? (read.wrong?.[index] ?? null) : null}
            onChange={changed => {
              setValues(before =>
                before.map((value, i) => (i === index ? changed : value))
              );
              setKept(false);
            }}
          />
        ))}
      {mode === 'form' && isTried && !hasRows && (
        <Note
          level="error"
          isAlert
          message={trans.__(
            'Protocol v1 sends rows, and the inputs do not have the same number of them.'
          )}
        />
      )}
      {mode === 'json' && (
        <JSONField
          label={trans.__('Request body')}
          help={trans.__('Sent as it is.')}
          text={rawText}
          problem={rawProblem}
          onChange={setRawText}
        />
      )}
    </RequestPage>
  );
}

function skeleton(protocol: string) {
  return object([[protocol === 'v2' ? 'inputs' : 'instances', list([])]]);
}

import * as React from 'react';
import { plainText } from '../../api/plain';
import type { TensorSpec } from '../../api/types';
import type { IFieldNote } from '../../components/field';
import { Field } from '../../components/field';
import { Note } from '../../components/note';
import { useTrans } from '../../components/trans';
import { InputFields } from '../fields';
import { accepted, MOST_BYTES, readFile } from './file';
import type { InputValue, IWrong } from './form';
import { fieldsOf, initialValues } from './form';
import { isText, shapeText } from './shape';
import { changeWords, fileWords, problemWords } from './words';

/**
 * One input: fields for a short row, JSON for what is longer, or what a file holds that is picked or dropped here.
 */
export function TensorInput(props: {
  spec: TensorSpec;
  value: InputValue;
  wrong: IWrong | null;
  onChange: (value: InputValue) => void;
}): JSX.Element {
  const trans = useTrans();
  const { spec, value, wrong, onChange } = props;
  const picker = React.useRef<HTMLInputElement>(null);
  const newest = React.useRef(0);
  const [problem, setProblem] = React.useState<IFieldNote | null>(null);
  const [isOver, setOver] = React.useState(false);
  const name = plainText(spec.name);
  const told = `${isText(spec.dtype) ? trans.__('texts') : spec.dtype} ${shapeText(spec.shape)}`;

  async function take(file: File) {
    const turn = ++newest.current;
    try {
      if (file.size > MOST_BYTES) {
        setProblem({
          level: 'error',
          message: trans.__(
            '%1 is larger than %2 MB. Send it from Python instead.',
            file.name,
            MOST_BYTES / 2 ** 20
          )
        });
        return;
      }
      const read = await readFile(file, spec, changes =>
        changeWords(trans, changes)
      );
      if (turn === newest.current) {
        setProblem(null);
        onChange(read);
      }
    } catch (error) {
      if (turn === newest.current) {
        const words = fileWords(trans, plainText(file.name), error);
        setProblem({ level: 'error', ...words });
      }
    }
  }

  const notes: IFieldNote[] = wrong?.whole
    ? [{ level: 'error', ...problemWords(trans, spec, wrong.whole) }]
    : [];
  const fields = fieldsOf(spec);
  return (
    <fieldset
      className={`jp-KaleTensor ${isOver ? 'jp-mod-over' : ''}`}
      onDragOver={event => {
        if (event.dataTransfer.types.includes('Files')) {
          event.preventDefault();
          setOver(true);
        }
      }}
      onDragLeave={() => setOver(false)}
      onDrop={event => {
        const [file] = event.dataTransfer.files;
        setOver(false);
        if (file) {
          event.preventDefault();
          void take(file);
        }
      }}
    >
      <legend>
        {name} <span className="jp-KaleTensor-type">{told}</span>
      </legend>
      {value.kind === 'fields' && fields && (
        <InputFields
          fields={fields}
          texts={value.texts}
          wrong={wrong?.fields ?? null}
          onChange={texts => onChange({ kind: 'fields', texts })}
        />
      )}
      {value.kind === 'text' && (
        <Field
          label={trans.__('%1 as JSON', name)}
          help={trans.__('Nested lists, or a file.')}
          notes={notes}
        >
          {control => (
            <textarea
              {...control}
              className="jp-mod-styled jp-KaleTextArea"
              value={value.text}
              rows={Math.min(12, Math.max(3, value.text.split('\n').length))}
              spellCheck={false}
              onChange={event =>
                onChange({ kind: 'text', text: event.target.value })
              }
            />
          )}
        </Field>
      )}
      {value.kind === 'file' && (
        <p className="jp-KaleTensor-file" role="status">
          <strong>{plainText(value.file)}</strong>{' '}
          {shapeText(value.tensor.shape)} {value.note}
        </p>
      )}
      {value.kind !== 'text' &&
        notes.map(note => <Note key={note.message} isAlert {...note} />)}
      {problem && <Note isAlert {...problem} />}
      <div className="jp-KalePredict-file">
        <button
          type="button"
          className="jp-mod-styled jp-mod-reject"
          aria-label={trans.__('File for %1…', name)}
          title={trans.__('Pick a file here, or drop one')}
          onClick={() => picker.current?.click()}
        >
          {trans.__('File…')}
        </button>
        {value.kind === 'file' && (
          <button
            type="button"
            className="jp-mod-styled jp-mod-reject"
            aria-label={trans.__('Remove the file for %1', name)}
            onClick={() => {
              const [empty] = initialValues([spec], null);
              setProblem(null);
              onChange(empty);
            }}
          >
            {trans.__('Remove')}
          </button>
        )}
        <input
          ref={picker}
          type="file"
          hidden
          accept={accepted(spec)}
          aria-label={trans.__('File for %1', name)}
          onChange={event => {
            const file = event.target.files?.[0];
            // The same file can be chosen again.
            event.target.value = '';
            if (file) {
              void take(file);
            }
          }}
        />
      </div>
    </fieldset>
  );
}

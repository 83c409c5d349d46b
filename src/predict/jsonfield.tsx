import * as React from 'react';
import type { IFieldNote } from '../components/field';
import { Field } from '../components/field';
import { useTrans } from '../components/trans';
import { asBase64, MOST_BYTES } from './base64';

/**
 * JSON to be edited, and a button that puts a file into it.
 *
 * Bytes that are no text have no form in JSON: `{"b64": "…"}` is what KServe and TensorFlow Serving make of them.
 */
export function JSONField(props: {
  label: string;
  help: string;
  text: string;
  problem: string | null;
  onChange: (text: string) => void;
}): JSX.Element {
  const trans = useTrans();
  const { text, problem, onChange } = props;
  const area = React.useRef<HTMLTextAreaElement>(null);
  const picker = React.useRef<HTMLInputElement>(null);
  const [fileProblem, setFileProblem] = React.useState<string | null>(null);
  const cursor = React.useRef<number | null>(null);

  React.useEffect(() => {
    if (cursor.current !== null) {
      area.current?.focus();
      area.current?.setSelectionRange(cursor.current, cursor.current);
      cursor.current = null;
    }
  }, [text]);

  async function insert(file: File) {
    if (file.size > MOST_BYTES) {
      setFileProblem(
        trans.__(
          '%1 is larger than %2 MB. Send it from Python instead.',
          file.name,
          MOST_BYTES / 2 ** 20
        )
      );
      return;
    }
    try {
      const value = JSON.stringify({ b64: await asBase64(file) });
      const now = area.current?.value ?? text;
      const start = area.current?.selectionStart ?? now.length;
      const end = area.current?.selectionEnd ?? start;
      cursor.current = start + value.length;
      setFileProblem(null);
      onChange(now.slice(0, start) + value + now.slice(end));
    } catch (error) {
      setFileProblem(
        trans.__(
          '%1 could not be read: %2',
          file.name,
          error instanceof Error ? error.message : String(error)
        )
      );
    }
  }

  const notes: IFieldNote[] = [];
  if (problem !== null) {
    const message = trans.__('This is not valid JSON.');
    notes.push({ level: 'error', message, hint: problem });
  }
  if (fileProblem !== null) {
    notes.push({ level: 'error', message: fileProblem });
  }
  return (
    <>
      <Field label={props.label} help={props.help} notes={notes}>
        {control => (
          <textarea
            {...control}
            ref={area}
            className="jp-mod-styled jp-KaleTextArea"
            value={text}
            rows={Math.min(24, Math.max(6, text.split('\n').length + 1))}
            spellCheck={false}
            onChange={event => onChange(event.target.value)}
          />
        )}
      </Field>
      <div className="jp-KalePredict-file">
        <button
          type="button"
          className="jp-mod-styled jp-mod-reject"
          title={trans.__(
            'Insert a file’s bytes at the cursor, as {"b64": "…"}: an image, for example'
          )}
          onClick={() => picker.current?.click()}
        >
          {trans.__('File as base64…')}
        </button>
        <input
          ref={picker}
          type="file"
          hidden
          aria-label={trans.__('File to insert')}
          onChange={event => {
            const file = event.target.files?.[0];
            // The same file can be chosen again.
            event.target.value = '';
            if (file) {
              void insert(file);
            }
          }}
        />
      </div>
    </>
  );
}

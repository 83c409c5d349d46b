import * as React from 'react';
import { plainText } from '../../api/plain';
import { ActionButton } from '../../components/button';
import { useTrans } from '../../components/trans';
import { list, writeJSON } from '../text';
import type { IOutput } from './outputs';
import { shapeText } from './shape';
import { nested } from './tensor';

/**
 * So many values of an output are shown.
 */
const MOST_SHOWN = 100;

/**
 * The outputs of an answer by name, each with what it is; of a large one the first values.
 */
export function OutputsView({
  outputs
}: {
  outputs: readonly IOutput[];
}): JSX.Element {
  const trans = useTrans();
  return (
    <dl className="jp-KaleOutputs">
      {outputs.map(({ name, dtype, tensor }) => {
        const { shape, values } = tensor;
        const more = values.length - MOST_SHOWN;
        const text =
          more > 0
            ? writeJSON(
                list(
                  values
                    .slice(0, MOST_SHOWN)
                    .map(value => ({ kind: 'plain', text: value }))
                ),
                60
              )
            : writeJSON(nested(tensor), 60);
        return (
          <React.Fragment key={name}>
            <dt>
              {plainText(name)}{' '}
              <span className="jp-KaleTensor-type">
                {dtype} {shapeText(shape)}
              </span>
            </dt>
            <dd>
              <pre tabIndex={0} role="group" aria-label={plainText(name)}>
                {plainText(text)}
              </pre>
              {more > 0 && (
                <p className="jp-KaleOutputs-more">
                  {trans._n('… %1 more', '… %1 more', more)}
                </p>
              )}
            </dd>
          </React.Fragment>
        );
      })}
    </dl>
  );
}

/**
 * Saves the whole answer as a file.
 */
export function DownloadButton({
  text,
  name
}: {
  text: string;
  name: string;
}): JSX.Element {
  const trans = useTrans();
  return (
    <ActionButton
      label={trans.__('Download as JSON')}
      glyph="download"
      onClick={() => {
        const url = URL.createObjectURL(
          new Blob([text], { type: 'application/json' })
        );
        const link = document.createElement('a');
        link.href = url;
        link.download = `${name}.json`;
        link.click();
        URL.revokeObjectURL(url);
      }}
    />
  );
}

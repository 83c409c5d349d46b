import * as React from 'react';
import { CopyButton } from '../components/button';
import { useTrans } from '../components/trans';

const SNIPPET = `from kale.common.artifacts import Model

Model(model=model, name="my-model").submit_artifact()`;

/**
 * What to do where nothing is registered yet.
 */
export function FirstSteps(): JSX.Element {
  const trans = useTrans();
  return (
    <div className="jp-KaleFirst">
      <p>
        {trans.__('No models yet. Log one from the notebook that trained it:')}
      </p>
      <div className="jp-KaleFirst-code">
        <pre tabIndex={0}>{SNIPPET}</pre>
        <CopyButton iconOnly text={SNIPPET} label={trans.__('Copy the code')} />
      </div>
      <p>
        {trans.__(
          'Or right-click a model file in the file browser and choose “Serve model”.'
        )}
      </p>
    </div>
  );
}

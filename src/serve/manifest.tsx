import * as React from 'react';
import { stringify } from 'yaml';
import type { JSONValue } from '../api/types';
import { CopyButton } from '../components/button';
import { Choice } from '../components/choice';
import { useTrans } from '../components/trans';

type Notation = 'yaml' | 'json';

/**
 * The InferenceService as YAML or JSON, to read and to copy.
 */
export default function Manifest(props: {
  manifest: Record<string, JSONValue>;
}): JSX.Element {
  const trans = useTrans();
  const [notation, setNotation] = React.useState<Notation>('yaml');
  const text =
    notation === 'yaml'
      ? stringify(props.manifest, { lineWidth: 0 })
      : JSON.stringify(props.manifest, null, 2);
  return (
    <div className="jp-KaleManifest">
      <div className="jp-KaleManifest-bar">
        <Choice<Notation>
          label={trans.__('Notation')}
          value={notation}
          options={[
            ['yaml', 'YAML'],
            ['json', 'JSON']
          ]}
          onChange={setNotation}
        />
        <CopyButton text={text} label={trans.__('Copy')} />
      </div>
      <pre tabIndex={0}>{text}</pre>
    </div>
  );
}

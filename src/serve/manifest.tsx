import * as React from 'react';
import { stringify } from 'yaml';
import { plainText } from '../api/plain';
import type { JSONValue } from '../api/types';
import { CopyButton, SecretsButton } from '../components/button';
import { Choice } from '../components/choice';
import { useTrans } from '../components/trans';
import { masked } from './secrets';

type Notation = 'yaml' | 'json';

/**
 * The InferenceService as YAML or JSON, to read and to copy; secrets only when they are asked for.
 */
export default function Manifest(props: {
  manifest: Record<string, JSONValue>;
}): JSX.Element {
  const trans = useTrans();
  const [notation, setNotation] = React.useState<Notation>('yaml');
  const [isOpen, setOpen] = React.useState(false);
  const inWords = (manifest: JSONValue): string =>
    notation === 'yaml'
      ? stringify(manifest, { lineWidth: 0 })
      : JSON.stringify(manifest, null, 2);
  const whole = inWords(props.manifest);
  const safe = inWords(masked(props.manifest));
  const text = isOpen ? whole : safe;
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
        {safe !== whole && (
          <SecretsButton isOpen={isOpen} onClick={() => setOpen(!isOpen)} />
        )}
        <CopyButton text={text} label={trans.__('Copy')} />
      </div>
      <pre tabIndex={0}>{plainText(text)}</pre>
    </div>
  );
}

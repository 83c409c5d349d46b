import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type {
  Artifact,
  JSONValue,
  ModelDetail,
  Service,
  Signature
} from '../api/types';
import { plainText } from '../api/plain';
import { refKey } from '../api/types';
import { ActionButton, CopyButton } from '../components/button';
import { Facts } from '../components/facts';
import { Fold } from '../components/disclosure';
import { Glyph } from '../components/glyph';
import { Moment } from '../components/moment';
import { useTrans } from '../components/trans';
import type { IActions } from '../panel/actions';
import { shapeText } from '../predict/tensors/shape';
import { methodWords } from '../services/methods';
import { phaseWord } from '../services/phase';
import { lineageOf } from './lineage';

/**
 * Everything about one model: where it came from, where it runs, its versions.
 */
export function ModelDetails(props: {
  detail: ModelDetail;
  services: readonly Service[];
  actions: IActions;
}): JSX.Element {
  const trans = useTrans();
  const { artifact, versions } = props.detail;
  const tags = Object.entries(artifact.tags);
  return (
    <div className="jp-KaleDetails">
      {artifact.description && (
        <p className="jp-KaleDetails-text">{artifact.description}</p>
      )}
      {tags.length > 0 && (
        <ul className="jp-KaleTags" aria-label={trans.__('Tags')}>
          {tags.map(([key, value]) => (
            <li key={key} className="jp-KaleChip">
              {value ? `${key}: ${value}` : key}
            </li>
          ))}
        </ul>
      )}
      <Lineage detail={props.detail} services={props.services} />
      <Facts
        items={[
          [trans.__('Input'), plainText(inputWords(artifact.signature, trans))],
          ...recordedFacts(artifact, trans),
          [trans.__('File'), fileOf(artifact)],
          [trans.__('Author'), artifact.author],
          [trans.__('Python'), artifact.environment.python_version],
          [trans.__('Libraries'), packageWords(artifact)],
          [
            trans.__('Id'),
            <span key="id" className="jp-KaleCopied">
              <code>{artifact.id}</code>
              <CopyButton
                iconOnly
                text={String(artifact.id)}
                label={trans.__('Copy the id')}
              />
            </span>
          ]
        ]}
      />
      <Versions
        current={artifact}
        versions={versions}
        actions={props.actions}
      />
      {artifact.signature && artifact.signature.columns.length > 0 && (
        <Fold label={trans.__('Columns')}>
          <Columns columns={artifact.signature.columns} />
        </Fold>
      )}
      <Fold label={trans.__('Snapshot')}>
        <Facts
          items={[
            [trans.__('Address'), <code key="uri">{artifact.uri}</code>],
            [trans.__('Digest'), <code key="digest">{artifact.digest}</code>],
            [trans.__('Interpreter'), artifact.environment.python],
            [trans.__('Machine'), artifact.environment.host]
          ]}
        />
      </Fold>
    </div>
  );
}

function Lineage(props: {
  detail: ModelDetail;
  services: readonly Service[];
}): JSX.Element {
  const trans = useTrans();
  const { lineage, versions, artifact } = props.detail;
  const ids = new Set([artifact.id, ...versions.map(version => version.id)]);
  const running = props.services.filter(
    service => service.model !== null && ids.has(service.model.id)
  );
  const served = new Set(running.map(service => refKey(service.ref)));
  return (
    <ul className="jp-KaleLineage" aria-label={trans.__('Lineage')}>
      {lineageOf(lineage, served, trans).map((line, index) => (
        <li key={index}>
          <Glyph name="logs" />
          <span>{line}</span>
        </li>
      ))}
      {running.map(service => (
        <li key={refKey(service.ref)}>
          <Glyph name="serve" />
          <span>
            {trans.__(
              'Version %1 is served as %2: %3',
              service.model?.version || String(service.model?.id),
              service.ref.name,
              phaseWord(service.phase, trans)
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Versions(props: {
  current: Artifact;
  versions: Artifact[];
  actions: IActions;
}): JSX.Element {
  const trans = useTrans();
  const id = React.useId();
  return (
    <section className="jp-KaleVersions">
      <h3 id={id}>{trans.__('Versions')}</h3>
      <ul aria-labelledby={id}>
        {props.versions.map(version => {
          const label = version.version || String(version.id);
          return (
            <li
              key={version.id}
              className="jp-KaleServe-modelRow"
              aria-label={trans.__('Version %1', label)}
              data-model-id={version.id}
            >
              <span>{label}</span>
              <span className="jp-KaleRow-sub">
                <Moment at={version.created} />
              </span>
              <ActionButton
                label={trans.__('Serve')}
                glyph="serve"
                name={trans.__('Serve %1 %2', version.name, label)}
                title={trans.__('Serve version %1', label)}
                onClick={() => props.actions.serve({ modelId: version.id })}
              />
            </li>
          );
        })}
      </ul>
    </section>
  );
}

type Column = Signature['columns'][number];

/**
 * The columns of the model's input, as its table had them.
 */
function Columns({ columns }: { columns: readonly Column[] }): JSX.Element {
  const trans = useTrans();
  return (
    <table className="jp-KaleDifferences">
      <thead>
        <tr>
          <th scope="col">{trans.__('Column')}</th>
          <th scope="col">{trans.__('Type')}</th>
        </tr>
      </thead>
      <tbody>
        {columns.map(column => (
          <tr key={column.name}>
            <th scope="row">{plainText(column.name)}</th>
            <td>{plainText(columnWords(column, trans))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/**
 * Categories that are named; more of them are counted.
 */
const NAMED = 8;

function columnWords(column: Column, trans: TranslationBundle): string {
  const { dtype, categories } = column;
  if (!categories) {
    return dtype;
  }
  const named = categories.slice(0, NAMED).map(String).join(', ');
  return categories.length > NAMED
    ? trans.__('%1: %2 and %3 more', dtype, named, categories.length - NAMED)
    : trans.__('%1: %2', dtype, named);
}

/**
 * What was recorded of the model itself when it was logged.
 */
function recordedFacts(
  artifact: Artifact,
  trans: TranslationBundle
): [string, string][] {
  const { estimator, methods, own_code, recorded_rows } = artifact.details;
  const listed = texts(methods);
  return [
    [trans.__('Estimator'), typeof estimator === 'string' ? estimator : ''],
    [
      trans.__('Answers'),
      listed.map(name => methodWords(name, trans, listed)).join(', ')
    ],
    [
      trans.__('Recorded rows'),
      typeof recorded_rows === 'number' ? String(recorded_rows) : ''
    ],
    [trans.__('Own code'), texts(own_code).join(', ')]
  ];
}

/**
 * The file or folder that it was registered from.
 */
function fileOf({ details: { file } }: Artifact): string {
  return typeof file === 'string' ? file : '';
}

function texts(value: JSONValue | undefined): string[] {
  return Array.isArray(value)
    ? value.filter((item): item is string => typeof item === 'string')
    : [];
}

function inputWords(
  signature: Signature | null,
  trans: TranslationBundle
): string {
  if (!signature) {
    return '';
  }
  const { columns, inputs, input_size, input_dtype } = signature;
  const named = [
    ...inputs.map(({ name, dtype, shape }) => [
      name,
      `${dtype} ${shapeText(shape)}`
    ]),
    ...columns.map(({ name, dtype }) => [name, dtype])
  ];
  if (named.length > 0) {
    const shown = named
      .slice(0, 6)
      .map(([name, told]) => `${name} (${told})`)
      .join(', ');
    return named.length > 6
      ? trans.__('%1 and %2 more', shown, named.length - 6)
      : shown;
  }
  const size = input_size.slice(1).join(' × ');
  return size ? trans.__('%1 values of %2', size, input_dtype) : input_dtype;
}

function packageWords(artifact: Artifact): string {
  return Object.entries(artifact.environment.packages)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
}

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { ApiError } from '../api/errors';
import type { EngineBody, EngineInfo, EngineList, Health } from '../api/types';
import type { IFetched } from '../components/fetched';
import { useFetched } from '../components/fetched';
import type { IFieldNote } from '../components/field';
import { Field } from '../components/field';
import { ErrorNote, Note } from '../components/note';
import { useTrans } from '../components/trans';
import type { HealthModel } from './model';

/**
 * What the field of engines has for one that is found; the others are told by `keyOf`.
 */
const FOUND = '';

/**
 * Which engine and namespace new services go to, to be chosen.
 */
export function EngineForm(props: {
  id: string;
  model: HealthModel;
  health: Health;
  onDone: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { id, model, health, onDone } = props;
  const isFixed = health.engine_by === 'configured';
  const [key, setKey] = React.useState(
    health.engine_by === 'chosen' ? keyOf(health.engine) : FOUND
  );
  const [namespace, setNamespace] = React.useState(health.engine.namespace);
  const [isBusy, setBusy] = React.useState(false);
  const [error, setError] = React.useState<ApiError | null>(null);
  const engines = useFetched(isFixed ? null : () => model.engines(), 'engines');
  const items = withCurrent(health.engine, engines.value);
  const engine = items.find(one => keyOf(one) === key);
  const isCluster = engine?.kind === 'cluster';

  const choose = (next: string) => {
    setKey(next);
    setError(null);
    setNamespace(items.find(one => keyOf(one) === next)?.namespace ?? '');
  };
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      await model.choose(bodyOf(engine, namespace.trim()));
      onDone();
    } catch (reason) {
      setError(ApiError.from(reason, trans));
      setBusy(false);
    }
  };

  return (
    <form
      id={id}
      className="jp-KaleEngine"
      aria-label={trans.__('Where new services run')}
      onSubmit={event => {
        event.preventDefault();
        void submit();
      }}
      onKeyDown={event => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          onDone();
        }
      }}
    >
      {isFixed ? (
        <Note
          level="info"
          message={trans.__(
            'The engine is fixed by this server’s configuration.'
          )}
          hint={health.engine_reason}
        />
      ) : (
        <Field
          label={trans.__('New services run')}
          help={
            key === FOUND &&
            health.engine_by === 'found' &&
            health.engine_reason
          }
          notes={listNotes(engines)}
        >
          {control => (
            <select
              {...control}
              className="jp-mod-styled"
              autoFocus
              value={key}
              onChange={event => choose(event.target.value)}
            >
              <option value={FOUND}>{trans.__('where KServe is found')}</option>
              {items.map(one => (
                <option key={keyOf(one)} value={keyOf(one)}>
                  {placeWords(one, trans)}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      {!isFixed && isCluster && (
        <NamespaceField
          key={key}
          model={model}
          context={engine.context}
          namespace={namespace}
          onChange={setNamespace}
        />
      )}
      {error && <ErrorNote error={error} />}
      <div className="jp-KaleEngine-buttons">
        <button
          type="button"
          className="jp-KaleButton jp-mod-plain"
          autoFocus={isFixed}
          onClick={onDone}
        >
          {isFixed ? trans.__('Close') : trans.__('Cancel')}
        </button>
        {!isFixed && (
          <button
            type="submit"
            className="jp-KaleButton jp-mod-accept"
            disabled={isBusy}
          >
            {isBusy ? trans.__('Checking…') : trans.__('Switch')}
          </button>
        )}
      </div>
    </form>
  );
}

/**
 * A namespace, proposed where they may be listed.
 */
function NamespaceField(props: {
  model: HealthModel;
  context: string;
  namespace: string;
  onChange: (namespace: string) => void;
}): JSX.Element {
  const trans = useTrans();
  const { model, context, namespace, onChange } = props;
  const listId = React.useId();
  const names = useFetched(() => model.namespaces(context), context);
  return (
    <Field
      label={trans.__('Namespace')}
      help={
        names.value?.complete === false &&
        trans.__(
          'The namespaces may not be listed here. Write the one you mean.'
        )
      }
      notes={errorNotes(names.error)}
    >
      {control => (
        <>
          <input
            {...control}
            className="jp-mod-styled"
            list={listId}
            required
            maxLength={63}
            spellCheck={false}
            value={namespace}
            onChange={event => onChange(event.target.value)}
          />
          <datalist id={listId}>
            {names.value?.items.map(name => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </>
      )}
    </Field>
  );
}

/**
 * An engine in a few words, without its namespace.
 */
export function placeWords(
  engine: EngineInfo,
  trans: TranslationBundle
): string {
  if (engine.kind === 'local') {
    return trans.__('This machine');
  }
  return engine.context === 'in-cluster'
    ? trans.__('This cluster')
    : engine.context || trans.__('Cluster');
}

function errorNotes(error: ApiError | null): IFieldNote[] {
  return error
    ? [{ level: 'error', message: error.message, hint: error.hint }]
    : [];
}

function listNotes({ value, error }: IFetched<EngineList>): IFieldNote[] {
  return value?.message
    ? [{ level: 'warning', message: value.message }]
    : errorNotes(error);
}

/**
 * The engines to choose from; the present one is among them, whatever became of its kubeconfig.
 */
function withCurrent(
  current: EngineInfo,
  list: EngineList | null
): EngineInfo[] {
  const items = list?.items ?? [];
  return items.some(one => keyOf(one) === keyOf(current))
    ? items
    : [current, ...items];
}

function keyOf(engine: EngineInfo): string {
  return `${engine.kind}/${engine.context}`;
}

function bodyOf(engine: EngineInfo | undefined, namespace: string): EngineBody {
  if (!engine) {
    return { kind: '' };
  }
  return engine.kind === 'cluster'
    ? { kind: 'cluster', context: engine.context, namespace }
    : { kind: 'local' };
}

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import type { BackendHealth, EngineInfo } from '../api/types';
import { ErrorNote, Note } from '../components/note';
import { Glyph } from '../components/glyph';
import { useTrans } from '../components/trans';
import type { HealthModel } from './model';

/**
 * Where services run, and whatever of the backends is not as it should be.
 */
export function HealthView(props: {
  model: HealthModel;
  onRefresh: () => void;
}): JSX.Element {
  const trans = useTrans();
  const { health, error } = props.model;
  return (
    <div className="jp-KaleHealth">
      <div className="jp-KaleHealth-line">
        <span
          className={`jp-KaleHealth-dot ${error ? 'jp-mod-error' : overall(health?.backends)}`}
          aria-hidden="true"
        />
        <span
          className="jp-KaleHealth-engine"
          title={
            health
              ? trans.__(
                  'Engine %1, context %2, namespace %3',
                  health.engine.kind,
                  health.engine.context,
                  health.engine.namespace
                )
              : undefined
          }
        >
          {health
            ? engineWords(health.engine, trans)
            : error
              ? trans.__('No connection')
              : trans.__('Connecting…')}
        </span>
        <button
          type="button"
          className="jp-KaleButton jp-mod-icon-only"
          aria-label={trans.__('Refresh')}
          title={trans.__('Refresh')}
          onClick={props.onRefresh}
        >
          <Glyph name="update" />
        </button>
      </div>
      {error && <ErrorNote error={error} onRetry={props.onRefresh} />}
      {!error &&
        Object.entries(health?.backends ?? {}).map(([name, backend]) => (
          <BackendNote key={name} name={name} backend={backend} />
        ))}
    </div>
  );
}

function BackendNote(props: {
  name: string;
  backend: BackendHealth;
}): JSX.Element | null {
  const trans = useTrans();
  const { name, backend } = props;
  const title = backendTitle(name, trans);
  switch (backend.state) {
    case 'ready':
      return null;
    case 'starting':
    case 'installing':
      return (
        <div className="jp-KaleHealth-progress">
          <label>
            <span>
              {backend.state === 'installing'
                ? trans.__('Installing %1', title)
                : trans.__('Starting %1', title)}
            </span>
            <progress />
          </label>
          <div className="jp-KaleNote-hint">
            {[backend.message, backend.hint].filter(Boolean).join(' ')}
          </div>
        </div>
      );
    case 'missing':
    case 'error':
      return (
        <Note
          level={backend.state === 'error' ? 'error' : 'warning'}
          message={
            backend.message || trans.__('There is no %1 yet.', title)
          }
          hint={backend.hint}
        />
      );
  }
}

function engineWords(engine: EngineInfo, trans: TranslationBundle): string {
  return engine.kind === 'local'
    ? trans.__('This machine · %1', engine.namespace)
    : trans.__('%1 · %2', engine.context, engine.namespace);
}

function backendTitle(name: string, trans: TranslationBundle): string {
  switch (name) {
    case 'engine':
      return trans.__('the serving engine');
    case 'metadata':
      return trans.__('the metadata engine');
    case 'store':
      return trans.__('the snapshot store');
    default:
      return name;
  }
}

/**
 * The state of the worst of them, as a modifier of the dot.
 */
function overall(backends: Record<string, BackendHealth> | undefined): string {
  const states = Object.values(backends ?? {}).map(backend => backend.state);
  if (states.length === 0) {
    return 'jp-mod-unknown';
  }
  if (states.includes('error')) {
    return 'jp-mod-error';
  }
  return states.every(state => state === 'ready')
    ? 'jp-mod-ready'
    : 'jp-mod-busy';
}
